use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use swarm_types::spec::service::Protocol::Tcp;

use futures::FutureExt;
use rtnetlink::LinkUnspec;
use rtnetlink::packet_core::{DefaultNla, NLM_F_ACK, NLM_F_CREATE};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::LinkAttribute;

use super::world::{HOST, ask, eventually, gateway, host, links, port, question, serve, within};
use crate::netlink::Message;
use crate::netlink::Socket;
use crate::netlink::nft::{self, Family};
use crate::netlink::route::{self, Links, Route};
use crate::table;

const SECOND: Duration = Duration::from_secs(1);

/// What `nft flush ruleset` says.
fn flush_ruleset() {
    const DELTABLE: u16 = 10 << 8 | 2;
    let mut socket = Socket::open().unwrap();
    nft::batch(&mut socket, vec![Message::new(DELTABLE, NLM_F_ACK, &[0; 4])]).unwrap();
}

#[test]
fn a_flushed_ruleset_is_back_within_a_second_and_connections_live() {
    host(|world| async move {
        let net = world.net().await;
        let outside = world.outside();
        let web = net.attach("web", &gateway(&[port(Tcp, 80, 8080)])).await.unwrap();
        serve(Some(&web.netns), Tcp, 80);
        let published = SocketAddr::from((HOST, 8080));
        let mut open = within(Some(&outside), || TcpStream::connect(published).unwrap());
        question(&mut open).unwrap();

        flush_ruleset();

        let took = eventually(|| ask(Some(&outside), Tcp, published), Result::is_ok, SECOND).await;
        println!("repaired after {took:?}");
        question(&mut open).unwrap();
    });
}

/// More of them than one list of the kernel's protocol takes, and than one answer has room for.
#[test]
fn thousands_of_published_ports_are_made_repaired_and_removed() {
    host(|world| async move {
        let net = world.net().await;
        let many: Vec<_> = (20_000..25_000).map(|published| port(Tcp, 80, published)).collect();
        net.attach("many", &gateway(&many)).await.unwrap();
        let count = || {
            let mut socket = Socket::open().unwrap();
            let found = nft::elements(&mut socket, crate::names::TABLE, table::PORTS);
            found.ok().flatten().map_or(0, |all| all.len())
        };
        assert_eq!(count(), many.len());

        flush_ruleset();
        eventually(count, |count| *count == many.len(), 5 * SECOND).await;
        net.detach("many").await.unwrap();

        assert_eq!(count(), 0);
    });
}

#[test]
fn a_removed_bridge_is_back_with_its_ports() {
    host(|world| async move {
        let net = world.net().await;
        let outside = world.outside();
        let web = net.attach("web", &gateway(&[port(Tcp, 80, 8080)])).await.unwrap();
        serve(Some(&web.netns), Tcp, 80);

        within(None, || Route::open().unwrap().send([route::delete_link("swarm0")]).unwrap());

        let published = SocketAddr::from((HOST, 8080));
        eventually(|| ask(Some(&outside), Tcp, published), Result::is_ok, 3 * SECOND).await;
        let all = links(None);
        let end = all.iter().find(|link| link.name == crate::names::link("web")).unwrap();
        assert!(end.isolated, "{end:?}");
    });
}

/// The chain of `iptables -P FORWARD DROP`, with a rule in it.
fn forward_drop() {
    const NEWTABLE: u16 = 10 << 8;
    const NEWCHAIN: u16 = NEWTABLE | 3;
    const NEWRULE: u16 = NEWTABLE | 6;
    let new = |kind| Message::new(kind, NLM_F_ACK | NLM_F_CREATE, &[2, 0, 0, 0]).text(1, "filter");
    let table = new(NEWTABLE);
    let chain = new(NEWCHAIN)
        .text(3, "FORWARD")
        .nest(4, |hook| hook.be32(1, 2).be32(2, 0))
        .be32(5, 0)
        .text(7, "filter");
    let rule = new(NEWRULE).text(2, "FORWARD").nest(4, |list| {
        list.nest(1, |expr| {
            expr.text(1, "counter").nest(2, |data| data.attr(1, &[0; 8]).attr(2, &[0; 8]))
        })
    });
    let mut socket = Socket::open().unwrap();
    nft::batch(&mut socket, vec![table, chain, rule]).unwrap();
}

#[test]
fn a_forward_chain_that_drops_lets_ours_through_and_keeps_its_rules() {
    host(|world| async move {
        let net = world.net().await;
        let outside = world.outside();
        let web = net.attach("web", &gateway(&[port(Tcp, 80, 8080)])).await.unwrap();
        serve(Some(&web.netns), Tcp, 80);
        let published = SocketAddr::from((HOST, 8080));
        let mut socket = Socket::open().unwrap();
        let mut comments = || -> Vec<String> {
            let rules = nft::rules(&mut socket, Family::Ip, "filter", "FORWARD").unwrap();
            rules.into_iter().map(|rule| rule.comment).collect()
        };

        forward_drop();

        eventually(|| ask(Some(&outside), Tcp, published), Result::is_ok, SECOND).await;
        let [first, second] = table::guest_rules("swarm0").map(|rule| rule.comment());
        assert_eq!(comments(), [second, first, String::new()]);
        drop(net);
        crate::Net::purge(world.options()).await.unwrap();
        assert_eq!(comments(), [""], "theirs stays");
    });
}

#[test]
fn what_is_right_is_not_written_again() {
    host(|world| async move {
        let net = world.net().await;
        net.attach("web", &gateway(&[port(Tcp, 80, 8080)])).await.unwrap();
        let mut socket = Socket::open().unwrap();
        let handles = |socket: &mut Socket| {
            let rules = |chain: &nft::Chain| {
                nft::rules(socket, Family::Inet, crate::names::TABLE, chain.name).unwrap()
            };
            table::CHAINS.iter().flat_map(rules).map(|rule| rule.handle).collect::<Vec<_>>()
        };
        let before = handles(&mut socket);

        drop(net);
        drop(world.net().await);

        assert_eq!(handles(&mut socket), before);
        assert_eq!(before.len(), 7);
    });
}

/// Whoever heard looks at everything: a burst of news is one reason for that, not many.
#[test]
fn a_burst_of_news_is_heard_once() {
    host(|_| async {
        let mut news = Links::listen().unwrap();
        within(None, || {
            let mut route = Route::open().unwrap();
            for _ in 0..2 {
                let bridge = route::create_bridge("other0", [2, 66, 1, 1, 1, 1]);
                route.send([bridge, route::delete_link("other0")]).unwrap();
            }
        });
        let gone = |news: &RouteNetlinkMessage| matches!(news, RouteNetlinkMessage::DelLink(_));

        tokio::time::timeout(5 * SECOND, news.heard(gone)).await.unwrap();

        assert_eq!(news.heard(gone).now_or_never(), None);
    });
}

/// Says `name` is labelled with a byte that is no text.
fn label(name: &str) -> route::Message {
    const IFALIAS: u16 = 20;
    let bytes = LinkAttribute::Other(DefaultNla::new(IFALIAS, vec![0xff]));
    route::link_is(LinkUnspec::new_with_name(name).append_extra_attribute(bytes).build(), 0)
}

/// Its answer must not be lost as a whole: asking for it would wait, and a list would lack it.
#[test]
fn a_bridge_whose_label_is_no_text_is_seen() {
    host(|_| async {
        let found = within(None, || {
            let mut route = Route::open().unwrap();
            let bridge = route::create_bridge("other0", [2, 66, 1, 1, 1, 1]);
            route.send([bridge, label("other0")]).unwrap();
            [route::link(&mut route, "other0").unwrap().into_iter().collect(), links(None)]
        });

        for links in found {
            assert!(links.iter().any(|link| link.name == "other0" && link.is_bridge), "{links:?}");
        }
    });
}
