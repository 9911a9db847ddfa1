use super::*;

fn lease() -> Lease {
    Lease { address: Some(Ipv4Addr::new(172, 29, 0, 2)), ports: Vec::new() }
}

fn gateway() -> Ipv4Network {
    "172.29.0.1/16".parse().unwrap()
}

fn whole() -> Task {
    let address = Ipv4Addr::new(172, 29, 0, 2);
    let link = Link { index: 2, up: true, mac: Some(names::mac(address)), ..Link::default() };
    let port =
        Link { name: link_of("a"), master: 7, isolated: true, forwarding: true, ..link.clone() };
    Task {
        netns: true,
        loopback_up: true,
        link: Some(link),
        addresses: vec!["172.29.0.2/16".parse().unwrap()],
        gateway: Some(Ipv4Addr::new(172, 29, 0, 1)),
        port: Some(port),
        bridge: 7,
        elements: BTreeMap::new(),
    }
}

fn ops(seen: &Task) -> Vec<Op> {
    task(&TaskWish { id: "a", lease: &lease(), gateway: gateway(), dropped: &[] }, seen)
}

#[test]
fn what_is_whole_is_left_alone() {
    assert_eq!(ops(&whole()), []);
}

#[test]
fn a_pair_without_its_inside_is_made_again() {
    let seen = Task { link: None, ..whole() };

    let ops = ops(&seen);

    assert_eq!(ops.first(), Some(&Op::DeleteLink(link_of("a"))));
    assert!(ops.contains(&Op::CreatePair(names::mac(Ipv4Addr::new(172, 29, 0, 2)))), "{ops:?}");
}

#[test]
fn a_port_of_a_new_bridge_is_isolated_again() {
    let seen = Task { bridge: 8, ..whole() };

    let ops = ops(&seen);

    assert_eq!(ops.first(), Some(&Op::Enslave(link_of("a"))));
    assert_eq!(ops.last(), Some(&Op::Isolate(link_of("a"))));
}

#[test]
fn settings_of_a_running_task_are_its_own() {
    let seen = Task { gateway: None, ..whole() };

    assert_eq!(ops(&seen), [Op::DefaultRoute(Ipv4Addr::new(172, 29, 0, 1))]);
}

#[test]
fn a_port_taken_over_by_another_task_is_not_removed() {
    let port = crate::HostPort { protocol: Protocol::Tcp, target: 80, published: 8080 };
    let own = Lease { ports: vec![port], ..lease() };
    let other = Lease { address: Some(Ipv4Addr::new(172, 29, 0, 3)), ports: vec![port] };
    let seen = Task { elements: table::elements(&other).into_iter().collect(), ..Task::default() };

    assert_eq!(gone("a", Some(&own), &seen), [Op::RemoveNetns]);
}
