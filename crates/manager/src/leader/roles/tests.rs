use std::collections::BTreeMap;

use proptest::prelude::*;
use swarm_raft::{Member, MemberId};
use swarm_state::State;
use swarm_types::{Entry, LEVEL, Timestamp};

use super::*;
use crate::testing::{empty_cluster, manager};

const ROLES: [NodeRole; 2] = [NodeRole::Worker, NodeRole::Manager];

fn ids(count: usize) -> Vec<NodeId> {
    let mut ids = IdSource::seeded(1);
    (0..count).map(|_| ids.draw()).collect()
}

fn node(id: NodeId, spec: NodeRole, role: NodeRole) -> Node {
    let mut node = manager(id);
    (node.spec.role, node.role) = (spec, role);
    node
}

fn members(nodes: impl IntoIterator<Item = NodeId>) -> Members {
    let member = |node| Member { node, addr: "192.0.2.1:2377".to_owned() };
    (1..).zip(nodes).map(|(id, node)| (id as MemberId, member(node))).collect()
}

#[test]
fn a_promoted_node_gets_the_role_and_a_demoted_one_loses_its_membership_first() {
    use NodeRole::{Manager, Worker};
    let ids = ids(4);
    let nodes = [
        node(ids[0], Manager, Manager),
        node(ids[1], Manager, Worker),
        node(ids[2], Worker, Manager),
        node(ids[3], Worker, Manager),
    ];

    let next = steps(nodes.iter(), &members([ids[0], ids[2]]));

    assert_eq!(
        next,
        [Step::SetRole(ids[1], Manager, 0), Step::SetRole(ids[3], Worker, 0), Step::Expel(ids[2]),]
    );
}

#[test]
fn a_member_whose_node_is_gone_or_is_a_worker_is_expelled() {
    let ids = ids(3);
    let nodes = [
        node(ids[0], NodeRole::Manager, NodeRole::Manager),
        node(ids[1], NodeRole::Worker, NodeRole::Worker),
    ];

    let next = steps(nodes.iter(), &members(ids.clone()));

    let gone: BTreeSet<NodeId> = [ids[1], ids[2]].into();
    assert_eq!(next, gone.into_iter().map(Step::Expel).collect::<Vec<_>>());
}

fn may(
    id: NodeId,
    voters: &[NodeId],
    reachable: &[NodeId],
    leaving: &[NodeId],
) -> Result<(), Keep> {
    let set = |some: &[NodeId]| some.iter().copied().collect();
    may_demote(id, &set(voters), &set(reachable), &set(leaving))
}

#[test]
fn the_last_manager_and_a_needed_one_stay() {
    let [a, b, c] = ids(3)[..] else { panic!() };

    assert_eq!(may(a, &[a], &[a], &[]), Err(Keep::Last));
    assert_eq!(may(a, &[a, b], &[a, b], &[b]), Err(Keep::Last), "the other goes already");
    assert_eq!(may(a, &[a, b], &[a, b], &[]), Ok(()));
    assert_eq!(may(a, &[a, b, c], &[a, b], &[]), Err(Keep::Quorum), "the third is down");
    assert_eq!(may(c, &[a, b, c], &[a, b], &[]), Ok(()), "the one that is down may go");
    assert_eq!(may(b, &[a, b], &[a], &[]), Err(Keep::Quorum), "nobody could agree to it");
    assert_eq!(may(b, &[a], &[a], &[]), Ok(()), "it never became a member");
}

/// What the leader does until there is nothing left, as the state and raft would.
fn settle(nodes: &mut BTreeMap<NodeId, Node>, members: &mut Members) -> usize {
    for taken in 0.. {
        let next = steps(nodes.values(), members);
        let Some(step) = next.first() else { return taken };
        assert!(taken < 100, "never settles: {next:?}");
        match step {
            Step::SetRole(id, role, _) => {
                let held = members.values().any(|member| member.node == *id);
                assert!(!held || *role == NodeRole::Manager, "a member lost its role");
                nodes.get_mut(id).unwrap().role = *role;
            }
            Step::Expel(id) => members.retain(|_, member| member.node != *id),
        }
    }
    unreachable!()
}

proptest! {
    /// Whatever the start: it settles, with the roles of the specs and no member but managers,
    /// no manager loses its membership that is to stay one, and no member its role.
    #[test]
    fn it_settles_on_what_the_specs_say(
        start in prop::collection::vec((0..2usize, 0..2usize, any::<bool>()), 0..8),
        strangers in 0..3usize,
    ) {
        let ids = ids(start.len() + strangers);
        let of = |(id, (spec, role, _)): (&NodeId, &(usize, usize, bool))| {
            (*id, node(*id, ROLES[*spec], ROLES[*role]))
        };
        let mut nodes: BTreeMap<NodeId, Node> = ids.iter().zip(&start).map(of).collect();
        let held = ids.iter().zip(&start).filter(|(_, (_, _, held))| *held).map(|(id, _)| *id);
        let mut members = members(held.chain(ids[start.len()..].iter().copied()));
        let stay: BTreeSet<NodeId> = members.values().map(|member| member.node).collect();

        settle(&mut nodes, &mut members);

        for node in nodes.values() {
            prop_assert_eq!(node.role, node.spec.role);
        }
        let managers: BTreeSet<NodeId> =
            nodes.values().filter(|it| it.spec.role == NodeRole::Manager).map(|it| it.id).collect();
        let left: BTreeSet<NodeId> = members.values().map(|member| member.node).collect();
        prop_assert!(left.is_subset(&managers));
        prop_assert!(stay.intersection(&managers).all(|node| left.contains(node)));
    }

    /// One demotion that is allowed leaves a quorum of those that answer.
    #[test]
    fn what_may_go_leaves_a_quorum(count in 1..8usize, up in any::<u8>(), leaving in any::<u8>()) {
        let ids = ids(count);
        let some = |mask: u8| -> BTreeSet<NodeId> {
            ids.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0).map(|it| *it.1).collect()
        };
        let (voters, reachable, leaving) = (some(0xff), some(up), some(leaving & 0xfe));

        if may_demote(ids[0], &voters, &reachable, &leaving).is_ok() {
            let left: BTreeSet<NodeId> =
                voters.difference(&leaving).copied().filter(|id| *id != ids[0]).collect();
            prop_assert!(2 * left.intersection(&reachable).count() > left.len());
        }
    }
}

/// A cluster with these nodes.
fn world(nodes: &[Node]) -> State {
    let cluster = empty_cluster(IdSource::seeded(9).draw());
    let mut changes = vec![Change::CreateCluster(Box::new(cluster))];
    changes.extend(nodes.iter().map(|node| Change::CreateNode(Box::new(node.clone()))));
    let mut state = State::new();
    write(
        &mut state,
        1,
        Group { request: IdSource::seeded(8).draw(), expect: Vec::new(), changes },
    );
    state
}

fn write(state: &mut State, index: u64, group: Group) {
    let entry =
        Entry { level: LEVEL, at: Timestamp::now(), groups: vec![group.into()], check: None };
    let applied = state.apply(index, &entry).unwrap();
    assert!(applied.results.iter().all(Result::is_ok), "{:?}", applied.results);
}

#[test]
fn a_forced_cluster_takes_its_epoch_and_those_left_behind_are_workers() {
    use NodeRole::{Manager, Worker};
    let ids = ids(4);
    let mut state = world(&[
        node(ids[0], Manager, Manager),
        node(ids[1], Manager, Manager),
        node(ids[2], Manager, Worker),
        node(ids[3], Worker, Worker),
    ]);
    let alone = members([ids[0]]);
    assert_eq!(forced(&state.snapshot(), 1, &alone), None, "it was not forced");

    let first = forced(&state.snapshot(), 2, &alone).unwrap();
    write(&mut state, 2, first);

    let snapshot = state.snapshot();
    assert_eq!(snapshot.cluster().unwrap().epoch, 2);
    for (id, role) in ids.into_iter().zip([Manager, Worker, Worker, Worker]) {
        let node = snapshot.node(&id).unwrap();
        assert_eq!((node.spec.role, node.role), (role, role), "{id}");
    }
    assert_eq!(forced(&snapshot, 2, &alone), None);
    assert_eq!(steps(snapshot.nodes().map(AsRef::as_ref), &alone), []);
}
