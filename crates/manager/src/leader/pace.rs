//! How fast silent nodes may be given up. Pure.
//!
//! When more than half of the nodes fall silent at once, the network is broken and not they:
//! replacing all they run would bury the rest. Then a tenth of the nodes a minute is given up,
//! until none is silent any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swarm_types::NodeId;

use super::liveness::{Look, Silent};

/// Fewer nodes than this say nothing about the network.
const FEWEST: usize = 4;
/// One in so many is given up in a [`WINDOW`].
const SHARE: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);

/// What was given up lately, and whether that goes slowly.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    given_up: BTreeMap<NodeId, Duration>,
    /// How many nodes there were when too many fell silent.
    slow: Option<usize>,
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
    /// Begins anew, as a new leader.
    pub(crate) fn begin(&mut self) {
        *self = Self::default();
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
        let gone: BTreeSet<NodeId> =
            recent.map(|(node, _)| *node).filter(|node| !look.nodes.contains(node)).collect();
        let (of, silent) = (look.nodes.len() + gone.len(), look.quiet + gone.len());
        let falls = of >= FEWEST && 2 * silent > of;
        if !falls && look.silent.is_empty() {
            self.slow = None;
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
        fn run(mut self, time: Duration) -> Self {
            let (mut pace, mut now) = (Pace::default(), Duration::ZERO);
            while now < time {
                let verdicts = pace.admit(self.look(now), GRACE, now);
                self.alarms += usize::from(verdicts.alarm.is_some());
                for silent in verdicts.down {
                    self.nodes.remove(&silent.node);
                    self.down.push(now);
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
        /// However they fall silent within one heartbeat, when they are most of them: no minute
        /// sees more than a tenth given up, and at least one is.
        #[test]
        fn no_minute_gives_up_more_than_its_share(
            count in 4..60usize,
            alive in 0..20usize,
            spread in prop::collection::vec(0..2_000u64, 60),
        ) {
            let alive = alive.min((count - 1) / 2);
            let silent: Vec<_> =
                (0..count).map(|node| (node >= alive).then_some(spread[node])).collect();

            let world = World::new(&silent).run(Duration::from_secs(200));

            let share = (count / SHARE).max(1);
            for (at, from) in world.down.iter().enumerate() {
                let minute = world.down[at..].iter().filter(|it| **it - *from < WINDOW).count();
                prop_assert!(minute <= share, "{:?}", world.down);
            }
            prop_assert!(!world.down.is_empty());
        }
    }
}
