use proptest::prelude::*;

use super::*;

fn subnet(prefix: u8) -> Ipv4Network {
    Ipv4Network::new(Ipv4Addr::new(10, 9, 0, 0), prefix).unwrap()
}

fn wish(ports: &[u16]) -> Wish {
    let port = |published| HostPort { protocol: Protocol::Tcp, target: 80, published };
    Wish { mode: Mode::Gateway, ports: ports.iter().map(|port_| port(*port_)).collect() }
}

#[test]
fn an_address_rests_until_the_others_had_their_turn() {
    let dir = tempfile::tempdir().unwrap();
    let mut leases = Leases::open(dir.path(), subnet(29)).unwrap();

    let first = leases.lease("a", &wish(&[]), |_, _| true).unwrap().address;
    leases.release("a").unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(leases.lease("b", &wish(&[]), |_, _| true).unwrap().address);
        leases.release("b").unwrap();
    }

    assert!(!seen.contains(&first), "{first:?} came again in {seen:?}");
    assert_eq!(leases.lease("c", &wish(&[]), |_, _| true).unwrap().address, first);
}

#[test]
fn a_restart_does_not_hand_out_what_was_just_freed() {
    let dir = tempfile::tempdir().unwrap();
    let mut leases = Leases::open(dir.path(), subnet(16)).unwrap();
    let freed = leases.lease("a", &wish(&[]), |_, _| true).unwrap().address;
    leases.release("a").unwrap();

    let mut again = Leases::open(dir.path(), subnet(16)).unwrap();

    assert_ne!(again.lease("b", &wish(&[]), |_, _| true).unwrap().address, freed);
}

#[test]
fn a_full_subnet_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut leases = Leases::open(dir.path(), subnet(30)).unwrap();
    leases.lease("a", &wish(&[]), |_, _| true).unwrap();

    let refused = leases.lease("b", &wish(&[]), |_, _| true);

    assert!(matches!(refused, Err(NetError::NoAddressLeft(_))), "{refused:?}");
}

#[test]
fn a_port_of_a_process_or_of_a_task_is_refused_with_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let mut leases = Leases::open(dir.path(), subnet(24)).unwrap();
    leases.lease("a", &wish(&[8080]), |_, _| true).unwrap();

    let of_task = leases.lease("b", &wish(&[8080]), |_, _| true).unwrap_err();
    let of_process = leases.lease("b", &wish(&[22]), |_, port| port != 22).unwrap_err();
    let twice = leases.lease("b", &wish(&[90, 90]), |_, _| true).unwrap_err();

    assert_eq!(of_task.to_string(), "host port 8080/tcp is already in use by task a");
    assert_eq!(
        of_process.to_string(),
        "host port 22/tcp is already in use by a process of this host"
    );
    assert_eq!(twice.to_string(), "host port 90/tcp is already in use by the same task");
    assert_eq!(leases.get("b"), None);
}

#[test]
fn a_chosen_port_is_kept_over_restarts_and_its_listener_is_not_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut leases = Leases::open(dir.path(), subnet(24)).unwrap();
    let chosen = leases.lease("a", &wish(&[0, 0]), |_, _| true).unwrap();

    let mut again = Leases::open(dir.path(), subnet(24)).unwrap();

    assert_eq!(again.lease("a", &wish(&[0, 0]), |_, _| false).unwrap(), chosen);
    assert_ne!(chosen.ports[0].published, chosen.ports[1].published);
}

/// After a reboot nothing leads to a kept port, and a process may have it by now.
#[test]
fn a_fixed_port_kept_over_a_reboot_is_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut leases = Leases::open(dir.path(), subnet(24)).unwrap();
    leases.lease("a", &wish(&[8080]), |_, _| true).unwrap();
    leases.lease("b", &wish(&[0]), |_, _| true).unwrap();

    let mut again = Leases::open(dir.path(), subnet(24)).unwrap();
    again.free_ports(|_| false);
    let refused = again.lease("a", &wish(&[8080]), |_, _| false).unwrap_err();
    let chosen = again.lease("b", &wish(&[0]), |_, _| true).unwrap();

    assert_eq!(
        refused.to_string(),
        "host port 8080/tcp is already in use by a process of this host"
    );
    assert!(chosen.ports[0].published != 0);
}

#[test]
fn an_unreadable_lease_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    drop(Leases::open(dir.path(), subnet(24)).unwrap());
    fs::write(dir.path().join("leases/a"), "addr").unwrap();
    fs::write(dir.path().join("leases/b"), "address 192.168.0.1\n").unwrap();

    let leases = Leases::open(dir.path(), subnet(24)).unwrap();

    assert!(leases.all().is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Lease(u8, Vec<u16>),
    Release(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let ports = prop::collection::vec(0..3_u16, 0..3);
    prop_oneof![
        4 => (0..8_u8, ports).prop_map(|(id, ports)| Step::Lease(id, ports)),
        2 => (0..8_u8).prop_map(Step::Release),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens, no address and no port has two owners, and the disk says the same.
    #[test]
    fn nothing_is_leased_twice(steps in prop::collection::vec(step(), 0..40)) {
        let dir = tempfile::tempdir().unwrap();
        let mut leases = Leases::open(dir.path(), subnet(29)).unwrap();
        for step in steps {
            match step {
                Step::Lease(id, ports) => {
                    let _ = leases.lease(&id.to_string(), &wish(&ports), |_, _| true);
                }
                Step::Release(id) => leases.release(&id.to_string()).unwrap(),
                Step::Reopen => {
                    let before = leases.all().clone();
                    leases = Leases::open(dir.path(), subnet(29)).unwrap();
                    prop_assert_eq!(leases.all(), &before);
                }
            }
            let all = leases.all().values();
            let addresses: Vec<_> = all.clone().filter_map(|lease| lease.address).collect();
            let ports: Vec<_> = all.flat_map(|lease| &lease.ports).collect();
            let different = |published: &BTreeSet<u16>| published.len() == ports.len();
            prop_assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), addresses.len());
            prop_assert!(different(&ports.iter().map(|port| port.published).collect()));
            prop_assert!(!addresses.contains(&leases.gateway()));
        }
    }
}
