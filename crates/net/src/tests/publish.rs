use std::net::SocketAddr;

use swarm_types::spec::service::Protocol::{self, Tcp, Udp};

use super::world::{CLIENT, HOST, ask, gateway, host, port, serve};

#[test]
fn a_published_port_answers_from_everywhere() {
    host(|world| async move {
        let net = world.net().await;
        let outside = world.outside();
        let ports = [port(Tcp, 80, 8080), port(Udp, 53, 5353)];
        let web = net.attach("web", &gateway(&ports)).await.unwrap();
        let other = net.attach("other", &gateway(&[])).await.unwrap();
        serve(Some(&web.netns), Tcp, 80);
        serve(Some(&web.netns), Udp, 53);

        for (protocol, published) in [(Tcp, 8080), (Udp, 5353)] {
            let at = |ip: [u8; 4]| SocketAddr::from((ip, published));
            let gateway = "172.29.0.1";
            let cases = [
                (Some(outside.as_path()), HOST.octets(), CLIENT.to_string()),
                (None, [127, 0, 0, 1], gateway.to_owned()),
                (None, HOST.octets(), HOST.to_string()),
                (Some(other.netns.as_path()), HOST.octets(), gateway.to_owned()),
                (Some(other.netns.as_path()), [172, 29, 0, 1], gateway.to_owned()),
                (Some(web.netns.as_path()), HOST.octets(), gateway.to_owned()),
            ];
            for (from, to, seen) in cases {
                let answer = ask(from, protocol, at(to));
                assert_eq!(answer.ok(), Some(seen), "{protocol:?} from {from:?} to {to:?}");
            }
        }
    });
}

#[test]
fn tasks_reach_the_world_and_only_ports_reach_them() {
    host(|world| async move {
        let net = world.net().await;
        let outside = world.outside();
        let one = net.attach("one", &gateway(&[port(Tcp, 80, 8080)])).await.unwrap();
        let two = net.attach("two", &gateway(&[])).await.unwrap();
        serve(Some(&outside), Tcp, 90);
        serve(Some(&one.netns), Tcp, 80);
        serve(Some(&one.netns), Tcp, 81);
        let inside = |port| SocketAddr::from((one.address.unwrap(), port));

        let world_sees = ask(Some(&one.netns), Tcp, SocketAddr::from((CLIENT, 90)));

        assert_eq!(world_sees.unwrap(), HOST.to_string());
        let neighbour = ask(Some(&two.netns), Tcp, inside(80));
        assert!(neighbour.is_err(), "a neighbour came through: {neighbour:?}");
        for port in [80, 81] {
            let stranger = ask(Some(&outside), Tcp, inside(port));
            assert!(stranger.is_err(), "a stranger came through to {port}: {stranger:?}");
        }
        assert_eq!(ask(None, Tcp, inside(80)).unwrap(), "172.29.0.1");
    });
}

#[test]
fn a_port_follows_its_new_owner() {
    host(|world| async move {
        let net = world.net().await;
        let outside = world.outside();
        let ports = [port(Udp, 53, 5353)];
        let published = SocketAddr::from((HOST, 5353));
        let client = super::world::within(Some(&outside), || {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.connect(published).unwrap();
            socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
            socket
        });
        let asked = || {
            client.send(b"who").unwrap();
            client.recv(&mut [0; 64])
        };
        let first = net.attach("first", &gateway(&ports)).await.unwrap();
        serve(Some(&first.netns), Protocol::Udp, 53);
        asked().unwrap();
        net.detach("first").await.unwrap();

        let second = net.attach("second", &gateway(&ports)).await.unwrap();
        serve(Some(&second.netns), Protocol::Udp, 53);

        asked().unwrap();
        assert_ne!(first.address, second.address);
    });
}

#[test]
fn a_new_wish_moves_ports_and_keeps_the_address() {
    host(|world| async move {
        let net = world.net().await;
        let outside = world.outside();
        let first = net.attach("web", &gateway(&[port(Tcp, 80, 8080)])).await.unwrap();
        serve(Some(&first.netns), Tcp, 80);

        let second = net.attach("web", &gateway(&[port(Tcp, 80, 9090)])).await.unwrap();

        assert_eq!(first.address, second.address);
        ask(Some(&outside), Tcp, SocketAddr::from((HOST, 9090))).unwrap();
        assert!(ask(Some(&outside), Tcp, SocketAddr::from((HOST, 8080))).is_err());
    });
}
