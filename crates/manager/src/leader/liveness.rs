//! Which nodes have gone silent. Pure: ages of CLOCK_BOOTTIME come in, verdicts go out.
//!
//! Wall time never enters, so a clock that is set never declares a node down. A watch whose own
//! tick comes late (the machine slept, the process was stopped) moves every deadline by its lag:
//! who did not listen cannot say that others did not speak.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swarm_types::{Node, NodeId, SessionId, object::node::NodeState};

/// Heartbeats a node may miss before it is down.
pub const MISSED: u32 = 3;
/// How late a tick may come before it counts as lag.
const SLACK: Duration = Duration::from_millis(500);

/// What this manager heard, and since when it may judge.
#[derive(Debug, Default)]
pub struct Liveness {
    heard: BTreeMap<NodeId, Heard>,
    judged: BTreeMap<NodeId, Judged>,
    /// When the last look was; `None` while this manager judges nobody.
    last_tick: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    session: SessionId,
    at: Duration,
}

/// The session a node is judged by, which has its grace from when it was first seen: it is in the
/// state a moment before it is heard.
#[derive(Debug, Clone, Copy)]
struct Judged {
    session: Option<SessionId>,
    since: Duration,
}

/// A node that is not heard any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Silent {
    /// The node.
    pub node: NodeId,
    /// The session judged; a newer one overrules the verdict.
    pub session: Option<SessionId>,
}

/// What a look at the nodes shows.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Look {
    /// Not heard for the grace, those silent for longest first.
    pub silent: Vec<Silent>,
    /// How many nodes that had a session were not heard for two thirds of it.
    pub quiet: usize,
    /// The nodes that have a session and are not down.
    pub nodes: BTreeSet<NodeId>,
}

impl Liveness {
    /// Has heard nobody, and judges nobody.
    #[must_use]
    pub const fn new() -> Self {
        Self { heard: BTreeMap::new(), judged: BTreeMap::new(), last_tick: None }
    }

    /// Notes a sign of life of a node's session, here or at another manager.
    pub fn hear(&mut self, node: NodeId, session: SessionId, at: Duration) {
        let before = self.heard.get(&node).filter(|heard| heard.session == session);
        let at = before.map_or(at, |before| before.at.max(at));
        self.heard.insert(node, Heard { session, at });
    }

    /// Time since the last sign of life of the session.
    pub(crate) fn age(&self, node: &NodeId, session: SessionId, now: Duration) -> Option<Duration> {
        let heard = self.heard.get(node).filter(|heard| heard.session == session)?;
        Some(now.saturating_sub(heard.at))
    }

    /// Begins to judge, as a new leader: every node gets one full grace from here.
    pub fn begin(&mut self, now: Duration) {
        self.judged.clear();
        self.last_tick = Some(now);
    }

    /// Stops judging, as leadership is lost.
    pub fn end(&mut self) {
        self.last_tick = None;
    }

    /// Looks at the nodes that are not down: whose present session was not heard?
    ///
    /// `every` is the time between two calls, `grace` how long a node may be silent.
    pub fn judge<'a>(
        &mut self,
        nodes: impl Iterator<Item = &'a Node>,
        grace: Duration,
        every: Duration,
        now: Duration,
    ) -> Look {
        let Some(before) = self.make_up_for_lag(every, now) else { return Look::default() };
        let (mut look, mut silent) = (Look::default(), Vec::new());
        for node in nodes.filter(|node| node.status.state != NodeState::Down) {
            let session = node.session.as_ref().map(|session| session.id);
            let last = self.last(node.id, session, before);
            let age = now.saturating_sub(last);
            if session.is_some() {
                look.nodes.insert(node.id);
                look.quiet += usize::from(age > grace * 2 / 3);
            }
            if age > grace {
                silent.push((last, Silent { node: node.id, session }));
            }
        }
        silent.sort_by_key(|(last, _)| *last);
        look.silent = silent.into_iter().map(|(_, silent)| silent).collect();
        look
    }

    /// When the session was heard last, or when it was first judged; `before` if that is now.
    fn last(&mut self, node: NodeId, session: Option<SessionId>, before: Duration) -> Duration {
        let judged = self.judged.get(&node).filter(|judged| judged.session == session).copied();
        let judged = judged.unwrap_or(Judged { session, since: before });
        self.judged.insert(node, judged);
        let heard = self.heard.get(&node).filter(|heard| Some(heard.session) == session);
        heard.map_or(judged.since, |heard| heard.at.max(judged.since))
    }

    /// When the look before this one was, or should have been.
    fn make_up_for_lag(&mut self, every: Duration, now: Duration) -> Option<Duration> {
        let before = self.last_tick?;
        self.last_tick = Some(now);
        let lag = now.saturating_sub(before + every);
        if lag <= SLACK {
            return Some(before);
        }
        for heard in self.heard.values_mut() {
            // What was heard after the pause was not heard in the future.
            heard.at = now.min(heard.at + lag);
        }
        self.judged.values_mut().for_each(|judged| judged.since += lag);
        Some(before + lag)
    }

    /// Forgets a node that is gone.
    pub(crate) fn forget(&mut self, node: &NodeId) {
        self.heard.remove(node);
        self.judged.remove(node);
    }

    /// Forgets all nodes but these.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&NodeId) -> bool) {
        self.heard.retain(|node, _| is_there(node));
        self.judged.retain(|node, _| is_there(node));
    }
}

#[cfg(test)]
mod tests {
    use swarm_types::IdSource;
    use swarm_types::object::node::{NodeSession, NodeStatus};

    use super::*;

    const PERIOD: Duration = Duration::from_secs(2);
    const EVERY: Duration = Duration::from_millis(500);

    fn node(ids: &mut IdSource) -> Node {
        let id = ids.draw();
        Node {
            id,
            meta: swarm_types::Meta::default(),
            spec: swarm_types::spec::node::NodeSpec::default(),
            description: swarm_types::object::node::NodeDescription::default(),
            status: NodeStatus { state: NodeState::Ready, ..NodeStatus::default() },
            role: swarm_types::spec::node::NodeRole::Worker,
            key_fingerprint: Vec::new(),
            session: Some(NodeSession {
                id: ids.draw(),
                manager: id,
                boot_id: String::new(),
                opened_at: swarm_types::Timestamp(0),
            }),
            attachments: Vec::new(),
        }
    }

    /// Ticks every half second from `from` to `to`; returns the verdicts of the last tick.
    fn tick(watch: &mut Liveness, node: &Node, from: u64, to: u64) -> Vec<Silent> {
        let mut silent = Vec::new();
        for ms in (from..=to).step_by(500) {
            let now = Duration::from_millis(ms);
            silent = watch.judge([node].into_iter(), PERIOD * MISSED, EVERY, now).silent;
        }
        silent
    }

    #[test]
    fn a_node_is_down_after_three_missed_heartbeats() {
        let node = node(&mut IdSource::seeded(1));
        let session = node.session.as_ref().unwrap().id;
        let mut watch = Liveness::new();
        watch.begin(Duration::ZERO);

        watch.hear(node.id, session, Duration::from_secs(1));

        assert_eq!(tick(&mut watch, &node, 500, 7_000), []);
        let verdict = Silent { node: node.id, session: Some(session) };
        assert_eq!(tick(&mut watch, &node, 7_500, 7_500), [verdict]);
    }

    /// Another manager's word may be late, and an old one may come after a new one.
    #[test]
    fn an_older_sign_of_life_takes_nothing_back() {
        let node = node(&mut IdSource::seeded(1));
        let session = node.session.as_ref().unwrap().id;
        let mut watch = Liveness::new();
        watch.begin(Duration::ZERO);

        watch.hear(node.id, session, Duration::from_secs(3));
        watch.hear(node.id, session, Duration::from_secs(1));

        assert_eq!(watch.age(&node.id, session, Duration::from_secs(4)), Some(PERIOD / 2));
        assert_eq!(tick(&mut watch, &node, 500, 9_000), []);
        assert_eq!(tick(&mut watch, &node, 9_500, 9_500).len(), 1);
    }

    #[test]
    fn a_new_leader_grants_a_full_grace() {
        let node = node(&mut IdSource::seeded(1));
        let mut watch = Liveness::new();

        watch.begin(Duration::from_secs(100));

        assert_eq!(tick(&mut watch, &node, 100_500, 106_000), []);
        assert_eq!(tick(&mut watch, &node, 106_500, 106_500).len(), 1);
    }

    #[test]
    fn another_session_is_no_sign_of_life_of_this_one() {
        let mut ids = IdSource::seeded(1);
        let node = node(&mut ids);
        let mut watch = Liveness::new();
        watch.begin(Duration::ZERO);

        watch.hear(node.id, ids.draw(), Duration::from_secs(6));

        assert_eq!(tick(&mut watch, &node, 500, 6_500).len(), 1);
    }

    #[test]
    fn a_session_that_was_just_opened_has_its_grace_before_it_is_heard() {
        let mut ids = IdSource::seeded(1);
        let mut node = node(&mut ids);
        let mut watch = Liveness::new();
        watch.begin(Duration::ZERO);
        assert_eq!(tick(&mut watch, &node, 500, 60_000).len(), 1);

        node.session.as_mut().unwrap().id = ids.draw();

        assert_eq!(tick(&mut watch, &node, 60_500, 66_000), []);
        assert_eq!(tick(&mut watch, &node, 66_500, 66_500).len(), 1);
    }

    #[test]
    fn what_was_heard_after_a_sleep_is_not_heard_in_the_future() {
        let node = node(&mut IdSource::seeded(1));
        let session = node.session.as_ref().unwrap().id;
        let mut watch = Liveness::new();
        watch.begin(Duration::ZERO);
        tick(&mut watch, &node, 500, 2_000);

        watch.hear(node.id, session, Duration::from_millis(59_900));
        tick(&mut watch, &node, 60_000, 60_000);

        assert_eq!(tick(&mut watch, &node, 60_500, 66_500).len(), 1);
    }

    #[test]
    fn a_watch_that_slept_declares_nobody_down() {
        let node = node(&mut IdSource::seeded(1));
        let session = node.session.as_ref().unwrap().id;
        let mut watch = Liveness::new();
        watch.begin(Duration::ZERO);
        watch.hear(node.id, session, Duration::from_secs(1));
        tick(&mut watch, &node, 500, 2_000);

        let after_a_sleep = tick(&mut watch, &node, 60_000, 60_000);

        assert_eq!(after_a_sleep, []);
        assert_eq!(tick(&mut watch, &node, 60_500, 66_500).len(), 1);
    }

    #[test]
    fn a_follower_judges_nobody() {
        let node = node(&mut IdSource::seeded(1));
        let mut watch = Liveness::new();
        watch.begin(Duration::ZERO);

        watch.end();

        assert_eq!(tick(&mut watch, &node, 500, 60_000), []);
    }
}
