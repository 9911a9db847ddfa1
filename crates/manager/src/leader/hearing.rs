//! Which managers the leader hears no more, for its log. Pure.

use std::collections::{BTreeMap, BTreeSet};

use swarm_types::NodeId;

/// Looks in a row at which a manager is not heard, before that is told: who leads since a moment
/// has heard nobody yet.
const LOOKS: u32 = 4;

/// At how many looks each manager was not heard.
#[derive(Debug, Default)]
pub(crate) struct Hearing(BTreeMap<NodeId, u32>);

/// What became of a manager.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum News {
    /// It is not heard.
    Lost,
    /// It is heard again.
    Back,
}

impl Hearing {
    /// Takes who is a manager and who is heard now; returns what is to be told.
    pub(crate) fn look(
        &mut self,
        managers: &BTreeSet<NodeId>,
        heard: &BTreeSet<NodeId>,
    ) -> Vec<(NodeId, News)> {
        let mut news = Vec::new();
        self.0.retain(|node, looks| {
            let stays = managers.contains(node);
            if stays && heard.contains(node) && *looks >= LOOKS {
                news.push((*node, News::Back));
            }
            stays && !heard.contains(node)
        });
        for node in managers.difference(heard) {
            let looks = self.0.entry(*node).or_default();
            *looks = looks.saturating_add(1);
            if *looks == LOOKS {
                news.push((*node, News::Lost));
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use swarm_types::IdSource;

    use super::*;

    #[test]
    fn a_manager_that_is_lost_or_comes_back_is_told_once_and_a_blink_is_not() {
        let mut ids = IdSource::seeded(1);
        let [own, lost, blinks, removed] = std::array::from_fn(|_| ids.draw());
        let all = BTreeSet::from([own, lost, blinks, removed]);
        let (mut hearing, mut told) = (Hearing::default(), Vec::new());
        let mut look = |managers: &BTreeSet<NodeId>, heard: &[NodeId]| {
            told.extend(hearing.look(managers, &heard.iter().copied().collect()));
        };

        for _ in 1..LOOKS {
            look(&all, &[own]);
        }
        for _ in 0..LOOKS {
            look(&all, &[own, blinks]);
        }
        look(&BTreeSet::from([own, lost, blinks]), &[own, lost, blinks]);
        look(&all, &[own, lost, blinks, removed]);

        let mut expected = [(lost, News::Lost), (removed, News::Lost), (lost, News::Back)];
        expected[..2].sort_by_key(|(node, _)| *node);
        assert_eq!(told, expected);
    }
}
