//! How often a node may open a session here: each is agreed on by all managers, and a node that
//! flaps, or two hosts with one identity, must not keep them busy.

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_types::NodeId;

/// Sessions a node may open within [`WINDOW`].
pub(crate) const MOST: u32 = 8;
/// The time that is looked at: shorter than the silence after which a node is down. Docker allows
/// 3 in 8 s, and takes nodes down by it.
pub(crate) const WINDOW: Duration = Duration::from_secs(4);

/// What nodes opened lately: since when, and how often.
#[derive(Debug, Default)]
pub(crate) struct Openings(BTreeMap<NodeId, (Duration, u32)>);

impl Openings {
    pub(crate) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether the node may open one now; counts it if so. `now` on a clock that never jumps.
    pub(crate) fn admit(&mut self, node: NodeId, now: Duration) -> bool {
        self.0.retain(|_, (since, _)| now.saturating_sub(*since) < WINDOW);
        let (_, count) = self.0.entry(node).or_insert((now, 0));
        let admitted = *count < MOST;
        *count += u32::from(admitted);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use swarm_types::IdSource;

    use super::*;

    #[test]
    fn a_node_that_flaps_waits_and_no_other_does() {
        let mut ids = IdSource::seeded(1);
        let (flapping, calm) = (ids.draw(), ids.draw());
        let mut openings = Openings::new();
        let at = Duration::from_millis;

        let admitted = (0..100).filter(|number| openings.admit(flapping, at(number * 10))).count();

        assert_eq!(admitted, MOST as usize);
        assert!(openings.admit(calm, at(1000)));
        assert!(!openings.admit(flapping, WINDOW - at(1)));
        assert!(openings.admit(flapping, WINDOW));
        // Whoever opens none is forgotten.
        assert!(openings.admit(calm, WINDOW * 3));
        assert_eq!(openings.0.len(), 1);
    }
}
