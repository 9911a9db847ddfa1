use std::net::IpAddr;
use std::path::Path;

use swarm_types::spec::service::Protocol;

use super::world::{gateway, host, links, port, within};
use crate::netlink::route::{self, Route};
use crate::netlink::{Socket, nft};
use crate::{Mode, Net, NetError, Wish, names, sysctl, table};

/// Everything of ours that the kernel shows in this namespace.
fn left(netns: &Path) -> (Vec<String>, Vec<nft::Element>, Vec<String>) {
    let ours = links(None).into_iter().map(|link| link.name).filter(|name| names::is_link(name));
    let mut nft = Socket::open().unwrap();
    let elements = nft::elements(&mut nft, names::TABLE, table::PORTS).unwrap();
    (ours.collect(), elements.unwrap_or_default(), crate::netns::list(netns).unwrap())
}

#[test]
fn a_task_gets_an_address_a_route_and_quiet_links() {
    host(|world| async move {
        let net = world.net().await;

        let attached = net.attach("task", &gateway(&[])).await.unwrap();

        assert_eq!(attached.netns, world.netns("task"));
        assert_eq!(attached.address, Some(IpAddr::from([172, 29, 0, 2])));
        assert_eq!(attached.gateway, Some(IpAddr::from([172, 29, 0, 1])));
        let inside = links(Some(&attached.netns));
        let settings = within(Some(&attached.netns), || {
            let names = ["all", "eth0"].map(|link| format!("net/ipv4/conf/{link}/rp_filter"));
            let read = names.map(|name| sysctl::read(&name).unwrap());
            (read, sysctl::read("net/ipv6/conf/eth0/disable_ipv6"))
        });
        assert!(inside.iter().all(|link| link.up), "{inside:?}");
        let eth0 = inside.iter().find(|link| link.name == "eth0").unwrap();
        assert_eq!(eth0.mac, Some([2, 66, 172, 29, 0, 2]));
        assert_eq!(settings.0, ["0", "0"]);
        assert_ne!(settings.1.as_deref(), Some("0"));
        let outside = links(None);
        let end = outside.iter().find(|link| link.name == names::link("task")).unwrap();
        assert!(end.isolated && end.up && end.master > 0, "{end:?}");
        assert_eq!(end.alias, "task");
    });
}

#[test]
fn a_second_attach_changes_nothing_and_a_daemon_that_comes_back_adopts() {
    host(|world| async move {
        let wish = gateway(&[port(Protocol::Tcp, 80, 0), port(Protocol::Udp, 53, 5353)]);
        let net = world.net().await;
        let first = net.attach("task", &wish).await.unwrap();
        let again = net.attach("task", &wish).await.unwrap();
        drop(net);

        let adopted = world.net().await;

        assert_eq!(again, first);
        assert_eq!(adopted.attach("task", &wish).await.unwrap(), first);
        assert_eq!(adopted.attached().await.unwrap(), ["task"]);
        assert!(first.ports.iter().all(|port| port.published != 0));
    });
}

#[test]
fn a_task_without_network_has_loopback_only() {
    host(|world| async move {
        let net = world.net().await;
        let wish = Wish { mode: Mode::None, ports: Vec::new() };

        let attached = net.attach("task", &wish).await.unwrap();

        assert_eq!((attached.address, attached.gateway), (None, None));
        let links = links(Some(&attached.netns));
        assert!(matches!(links.as_slice(), [lo] if lo.name == "lo" && lo.up), "{links:?}");
    });
}

#[test]
fn a_hundred_at_once_come_and_go_without_a_trace() {
    host(|world| async move {
        let net = world.net().await;
        let wish = gateway(&[port(Protocol::Tcp, 80, 0)]);
        let ids: Vec<String> = (0..100).map(|n| format!("task{n}")).collect();
        let before = std::time::Instant::now();

        let mut work = tokio::task::JoinSet::new();
        for id in ids.clone() {
            let (net, wish) = (net.clone(), wish.clone());
            work.spawn(async move { net.attach(&id, &wish).await.unwrap().address });
        }
        let addresses: std::collections::BTreeSet<_> = work.join_all().await.into_iter().collect();
        let made = before.elapsed();
        let mut work = tokio::task::JoinSet::new();
        for id in ids {
            let net = net.clone();
            work.spawn(async move { net.detach(&id).await.unwrap() });
        }
        work.join_all().await;

        println!("attach {made:?}, detach {:?}, of 100", before.elapsed() - made);
        assert_eq!(addresses.len(), 100);
        let netns = world.options().run_dir.join("netns");
        assert_eq!(left(&netns), (vec![], vec![], vec![]));
        assert_eq!(net.attached().await.unwrap(), [""; 0]);
        net.detach("task1").await.unwrap();
    });
}

#[test]
fn a_port_that_a_process_listens_on_is_refused() {
    host(|world| async move {
        let net = world.net().await;
        let _listener = within(None, || std::net::TcpListener::bind("127.0.0.1:8080").unwrap());

        let refused = net.attach("task", &gateway(&[port(Protocol::Tcp, 80, 8080)])).await;

        assert!(matches!(refused, Err(NetError::PortTaken { port: 8080, .. })), "{refused:?}");
        assert_eq!(net.attached().await.unwrap(), [""; 0]);
    });
}

/// What a reboot takes: namespaces, links, rules. Leases are on disk.
async fn reboot(world: &super::world::World, net: Net) {
    drop(net);
    crate::netns::remove(&world.netns("task")).unwrap();
    let links = [names::link("task"), "swarm0".to_owned()];
    within(None, move || {
        Route::open().unwrap().send(links.each_ref().map(|link| route::delete_link(link))).unwrap();
    });
    nft::batch(&mut Socket::open().unwrap(), vec![nft::delete_table(names::TABLE)]).unwrap();
}

#[test]
fn after_a_reboot_a_fixed_port_may_be_a_process_s() {
    host(|world| async move {
        let wish = gateway(&[port(Protocol::Tcp, 80, 8080)]);
        let net = world.net().await;
        net.attach("task", &wish).await.unwrap();
        reboot(&world, net).await;
        let _listener = within(None, || std::net::TcpListener::bind("127.0.0.1:8080").unwrap());

        let net = world.net().await;
        let shadowed = left(world.netns("").parent().unwrap()).1;
        let refused = net.attach("task", &wish).await;

        assert_eq!(shadowed, [], "the process is reached");
        assert!(matches!(refused, Err(NetError::PortTaken { port: 8080, .. })), "{refused:?}");
    });
}

#[test]
fn settings_that_a_power_loss_emptied_are_remembered_again() {
    host(|world| async move {
        std::fs::create_dir_all(world.options().state_dir.join("net")).unwrap();
        std::fs::write(world.options().state_dir.join("net/settings"), "").unwrap();
        drop(world.net().await);

        Net::purge(world.options()).await.unwrap();

        assert_eq!(sysctl::read("net/ipv4/ip_forward").as_deref(), Some("0"));
    });
}

#[test]
fn a_purge_takes_all_of_ours_and_nothing_else() {
    host(|world| async move {
        let other = route::create_bridge("switch0", [2, 66, 1, 1, 1, 1]);
        within(None, || Route::open().unwrap().send([other]).unwrap());
        let mut nft = Socket::open().unwrap();
        nft::batch(&mut nft, vec![nft::add_table("other")]).unwrap();
        let net = world.net().await;
        net.attach("task", &gateway(&[port(Protocol::Tcp, 80, 0)])).await.unwrap();
        drop(net);

        Net::purge(world.options()).await.unwrap();
        Net::purge(world.options()).await.unwrap();

        let links = links(None);
        let names: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
        assert!(names.contains(&"switch0"), "{names:?}");
        assert!(!names.contains(&"swarm0"), "{names:?}");
        let netns = world.options().run_dir.join("netns");
        assert_eq!(left(&netns), (vec![], vec![], vec![]));
        assert!(!netns.exists() && !world.options().state_dir.join("net").exists());
        nft::batch(&mut nft, vec![nft::delete_table("other")]).unwrap();
        assert_eq!(
            sysctl::read("net/ipv4/ip_forward").as_deref(),
            Some("1"),
            "switch0 may need it"
        );
    });
}

#[test]
fn a_purge_puts_the_settings_back_that_nobody_else_needs() {
    host(|world| async move {
        drop(world.net().await);

        Net::purge(world.options()).await.unwrap();

        assert_eq!(sysctl::read("net/ipv4/ip_forward").as_deref(), Some("0"));
    });
}
