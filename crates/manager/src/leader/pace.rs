//! How fast silent nodes may be given up. Pure.
//!
//! When more than half of the nodes fall silent at once, the network is broken and not they:
//! replacing all they run would bury the rest. Then a tenth of the nodes a minute is given up,
//! until none is silent any more.
//!
//! A new leader goes on at that pace: what was given up last is in the state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use swarm_state::Snapshot;
use swarm_types::object::node::NodeState;
use swarm_types::{Node, NodeId};

use super::liveness::{Look, Silent};

/// Fewer nodes than this say nothing about the network.
const FEWEST: usize = 4;
/// One in so many is given up in a [`WINDOW`].
const SHARE: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// The longest time between two nodes given up of one breakdown, with a change of leader between.
const LULL: Duration = Duration::from_secs(120);

/// What was given up lately, and whether that goes slowly.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    given_up: BTreeMap<NodeId, Duration>,
    /// How many nodes there were when too many fell silent.
    slow: Option<usize>,
    before: Before,
}

/// What earlier leaders gave up of a breakdown that may not be over.
#[derive(Debug, Default)]
struct Before {
    nodes: BTreeSet<NodeId>,
    began: Duration,
}

/// Which nodes are given up now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdicts {
    pub(crate) down: Vec<Silent>,
    /// That it goes slowly from now on.
    pub(crate) alarm: Option<Alarm>,
}

/// So many nodes of so many fell silent at once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) silent: usize,
    pub(crate) of: usize,
}

impl Pace {
    /// Begins as a new leader; `lost` are the nodes that are down ([`lost`]).
    pub(crate) fn begin(&mut self, lost: &[(NodeId, Duration)], now: Duration) {
        let mut ages: Vec<_> = lost.to_vec();
        ages.sort_by_key(|(_, age)| *age);
        let newer = std::iter::once(Duration::ZERO).chain(ages.iter().map(|(_, age)| *age));
        let in_a_row = ages.iter().zip(newer).take_while(|((_, age), newer)| *age - *newer < LULL);
        let nodes: BTreeSet<_> = in_a_row.map(|((node, _), _)| *node).collect();
        let lately = ages.iter().filter(|(_, age)| *age < WINDOW);
        let given_up = lately.map(|(node, age)| (*node, now.saturating_sub(*age))).collect();
        *self = Self { given_up, slow: None, before: Before { nodes, began: now } };
    }

    /// Lets through as many of the silent as may be given up, those silent for longest first.
    pub(crate) fn admit(&mut self, look: Look, grace: Duration, now: Duration) -> Verdicts {
        let kept = WINDOW.max(grace);
        self.given_up.retain(|_, at| now.saturating_sub(*at) < kept);
        let alarm = self.look(&look, grace, now);
        let down = look.silent.into_iter().filter(|silent| self.may(silent.node, now)).collect();
        Verdicts { down, alarm }
    }

    fn look(&mut self, look: &Look, grace: Duration, now: Duration) -> Option<Alarm> {
        let recent = self.given_up.iter().filter(|(_, at)| now.saturating_sub(**at) <= grace);
        // Of a breakdown that is over nobody is silent any more.
        let before = self.before.nodes.iter().filter(|_| look.quiet > 0);
        let gone = recent.map(|(node, _)| node).chain(before);
        let gone: BTreeSet<_> = gone.filter(|node| !look.nodes.contains(node)).collect();
        let (of, silent) = (look.nodes.len() + gone.len(), look.quiet + gone.len());
        let falls = of >= FEWEST && 2 * silent > of;
        if !falls && look.silent.is_empty() {
            self.slow = None;
            // A new leader hears nobody's silence before the grace it grants is over.
            if now.saturating_sub(self.before.began) > 2 * grace {
                self.before.nodes.clear();
            }
        }
        if !falls || self.slow.is_some() {
            return None;
        }
        self.slow = Some(of);
        Some(Alarm { silent, of })
    }

    /// Whether the node may be given up now; if so it is.
    fn may(&mut self, node: NodeId, now: Duration) -> bool {
        // A verdict that was not agreed on is given again.
        if self.given_up.contains_key(&node) {
            return true;
        }
        let most = self.slow.map(|of| (of / SHARE).max(1));
        let lately = self.given_up.values().filter(|at| now.saturating_sub(**at) < WINDOW).count();
        let may = most.is_none_or(|most| lately < most);
        if may {
            self.given_up.insert(node, now);
        }
        may
    }
}

/// The nodes that are down though they had a session, and for how long.
///
/// By the clock that all replicas share, which stands still while nothing is agreed on: a time is
/// at most too short, and the pace too slow for a minute.
pub(crate) fn lost(snapshot: &Snapshot) -> Vec<(NodeId, Duration)> {
    let is_lost = |it: &&Arc<Node>| it.status.state == NodeState::Down && it.session.is_some();
    let lost = snapshot.nodes().filter(is_lost);
    lost.map(|node| (node.id, snapshot.at().since(node.meta.updated_at))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use swarm_types::IdSource;

    use super::*;

    const GRACE: Duration = Duration::from_secs(6);
    const TICK: Duration = Duration::from_millis(500);

    /// A cluster where nodes fall silent at the times given, in milliseconds.
    struct World {
        nodes: BTreeMap<NodeId, Option<Duration>>,
        down: Vec<Duration>,
        alarms: usize,
    }

    impl World {
        fn new(silent_at: &[Option<u64>]) -> Self {
            let mut ids = IdSource::seeded(1);
            let at = |ms: &u64| Duration::from_millis(*ms);
            let nodes = silent_at.iter().map(|ms| (ids.draw(), ms.as_ref().map(at))).collect();
            Self { nodes, down: Vec::new(), alarms: 0 }
        }

        fn look(&self, now: Duration) -> Look {
            let silent_for = |at: &Option<Duration>| at.map(|at| now.saturating_sub(at));
            let over = |least: Duration| {
                self.nodes.iter().filter(move |(_, at)| silent_for(at).is_some_and(|it| it > least))
            };
            Look {
                nodes: self.nodes.keys().copied().collect(),
                quiet: over(GRACE * 2 / 3).count(),
                silent: over(GRACE).map(|(id, _)| Silent { node: *id, session: None }).collect(),
            }
        }

        /// Ticks for that long; nodes that are given up are down.
        fn run(self, time: Duration) -> Self {
            self.run_under(&[], time)
        }

        /// Others begin to lead at these times, and each grants a grace before it judges.
        fn run_under(mut self, leaders: &[Duration], time: Duration) -> Self {
            let (mut pace, mut now) = (Pace::default(), Duration::ZERO);
            let (mut lost, mut deaf) = (BTreeMap::new(), Duration::ZERO);
            let mut leaders = leaders.iter().peekable();
            while now < time {
                if leaders.next_if(|from| now >= **from).is_some() {
                    let ages: Vec<_> = lost.iter().map(|(id, at)| (*id, now - *at)).collect();
                    pace.begin(&ages, now);
                    deaf = now + GRACE;
                }
                let hears = if now > deaf { now } else { Duration::ZERO };
                let verdicts = pace.admit(self.look(hears), GRACE, now);
                self.alarms += usize::from(verdicts.alarm.is_some());
                for silent in verdicts.down {
                    self.nodes.remove(&silent.node);
                    self.down.push(now);
                    lost.insert(silent.node, now);
                }
                now += TICK;
            }
            self
        }
    }

    #[test]
    fn a_few_that_fall_silent_are_given_up_at_once() {
        let silent: Vec<_> = (0..30).map(|node| (node < 15).then_some(1_000)).collect();

        let world = World::new(&silent).run(Duration::from_secs(10));

        assert_eq!((world.down.len(), world.alarms), (15, 0));
    }

    #[test]
    fn of_three_nodes_two_may_die_at_once() {
        let world = World::new(&[Some(0), Some(0), None]).run(Duration::from_secs(10));

        assert_eq!((world.down.len(), world.alarms), (2, 0));
    }

    /// Heartbeats are two seconds apart, so silence spreads over two seconds.
    #[test]
    fn when_most_fall_silent_a_tenth_a_minute_is_given_up_and_it_is_told_once() {
        let silent: Vec<_> = (0..40).map(|node| (node < 30).then_some(node * 66)).collect();

        let world = World::new(&silent).run(Duration::from_secs(125));

        assert_eq!((world.down.len(), world.alarms), (4 * 2, 1), "{:?}", world.down);
    }

    #[test]
    fn when_all_are_back_the_next_one_is_given_up_at_once_again() {
        let mut pace = Pace::default();
        let all = World::new(&[Some(0); 8]);
        let first = pace.admit(all.look(GRACE + TICK), GRACE, GRACE + TICK);
        assert_eq!(first.down.len(), 1);
        let later = Duration::from_secs(100);
        let none =
            Look { silent: Vec::new(), quiet: 0, nodes: all.nodes.keys().copied().collect() };
        pace.admit(none, GRACE, later);

        let some = World::new(&[Some(0), Some(0), None, None, None, None, None, None]);
        let two = pace.admit(some.look(later), GRACE, later);

        assert_eq!((two.down.len(), two.alarm), (2, None));
    }

    #[test]
    fn what_was_lost_long_before_does_not_slow_a_new_leader_down() {
        let mut ids = IdSource::seeded(2);
        let day = Duration::from_secs(24 * 3600);
        let lost: Vec<_> = (0..20).map(|_| (ids.draw(), day)).collect();
        let world = World::new(&[Some(0), Some(0), None, None, None]);
        let mut pace = Pace::default();
        pace.begin(&lost, Duration::ZERO);

        let verdicts = pace.admit(world.look(GRACE + TICK), GRACE, GRACE + TICK);

        assert_eq!((verdicts.down.len(), verdicts.alarm), (2, None));
    }

    #[test]
    fn a_breakdown_that_was_over_before_a_new_leader_alarms_nobody() {
        let mut ids = IdSource::seeded(2);
        let lost: Vec<_> = (0..21).map(|_| (ids.draw(), Duration::from_secs(70))).collect();
        let alive = World::new(&[None; 19]);
        let mut pace = Pace::default();
        pace.begin(&lost, Duration::ZERO);

        for now in [TICK, GRACE + TICK, 2 * GRACE + TICK] {
            let verdicts = pace.admit(alive.look(now), GRACE, now);
            assert_eq!((verdicts.down.len(), verdicts.alarm), (0, None));
        }
        let silent: Vec<_> = (0..19).map(|node| (node < 9).then_some(0)).collect();
        let verdicts = pace.admit(World::new(&silent).look(3 * GRACE), GRACE, 3 * GRACE);

        assert_eq!((verdicts.down.len(), verdicts.alarm), (9, None));
    }

    /// Of 40 nodes 30 are silent; the last leader begins when less than half of those left are.
    #[test]
    fn the_last_of_many_leaders_still_goes_slowly() {
        let silent: Vec<_> = (0..40).map(|node| (node < 30).then_some(0)).collect();
        let leaders = [100, 200, 320].map(Duration::from_secs);

        let world = World::new(&silent).run_under(&leaders, Duration::from_secs(500));

        for (at, from) in world.down.iter().enumerate() {
            let minute = world.down[at..].iter().filter(|it| **it - *from < WINDOW).count();
            assert!(minute <= 4, "{:?}", world.down);
        }
        assert!(world.down.len() >= 4 * 7, "{:?}", world.down);
    }

    #[test]
    fn a_verdict_that_was_not_agreed_on_is_given_again() {
        let mut pace = Pace::default();
        let world = World::new(&[Some(0); 8]);
        let look = |now| world.look(now);

        let first = pace.admit(look(GRACE + TICK), GRACE, GRACE + TICK).down;
        let again = pace.admit(look(GRACE + 2 * TICK), GRACE, GRACE + 2 * TICK).down;

        assert_eq!(first.len(), 1);
        assert_eq!(first, again);
    }

    proptest! {
        /// However they fall silent within one heartbeat, when they are most of them, and whoever
        /// leads: no minute sees more than a tenth given up, and at least one is.
        #[test]
        fn no_minute_gives_up_more_than_its_share(
            count in 4..60usize,
            alive in 0..20usize,
            spread in prop::collection::vec(0..2_000u64, 60),
            leaders in prop::collection::btree_set(8..150u64, 0..4),
        ) {
            let alive = alive.min((count - 1) / 2);
            let silent: Vec<_> =
                (0..count).map(|node| (node >= alive).then_some(spread[node])).collect();

            let leaders: Vec<_> = leaders.into_iter().map(Duration::from_secs).collect();
            let world = World::new(&silent).run_under(&leaders, Duration::from_secs(200));

            let share = (count / SHARE).max(1);
            for (at, from) in world.down.iter().enumerate() {
                let minute = world.down[at..].iter().filter(|it| **it - *from < WINDOW).count();
                prop_assert!(minute <= share, "{:?}", world.down);
            }
            prop_assert!(!world.down.is_empty());
        }
    }
}
