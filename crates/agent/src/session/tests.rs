mod manager;

use std::sync::{Arc, Mutex};

use swarm_proto::field;
use swarm_proto::v1::assignments_message::Kind;
use swarm_types::{Task, TaskState, TaskStatus};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Endpoint;

use self::manager::{Manager, message};
use super::*;
use crate::executor::fake::{Container, Fake, World};
use crate::task::samples::{task, wanted};

/// Host of managers that say nothing, as if their cables were pulled.
const UNREACHED: &str = "unreached";
/// Host of managers that are on this one, behind a slow line.
const SLOW: &str = "slow.localhost";

/// An agent on a fake executor, with sessions over plain connections.
struct Agent {
    fake: Arc<Fake>,
    state: watch::Receiver<AgentState>,
    end: watch::Sender<Option<End>>,
    running: JoinHandle<()>,
    description: Arc<Mutex<NodeDescription>>,
    dir: TempDir,
}

impl Agent {
    fn start(managers: &[&Manager]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), managers)
    }

    /// An agent on the store of an earlier one.
    fn start_in(dir: TempDir, managers: &[&Manager]) -> Self {
        Self::start_at(dir, managers.iter().map(|manager| manager.addr.clone()).collect())
    }

    fn start_at(dir: TempDir, managers: Vec<String>) -> Self {
        let description: Arc<Mutex<NodeDescription>> = Arc::default();
        let described = Arc::clone(&description);
        let (store, kept) = Store::in_test(dir.path());
        let obeyed = kept.obeyed;
        let (fake, reporter) = (Arc::new(Fake::new(World::default())), Reporter::default());
        let (state, receiver) =
            watch::channel(AgentState::Searching { why: String::new(), managers: Vec::new() });
        let sessions = Sessions {
            dial: Box::new(|manager| {
                let lag = match manager.split(':').next() {
                    Some(UNREACHED) => Duration::MAX,
                    Some(SLOW) => 2 * PATIENCE,
                    _ => Duration::ZERO,
                };
                let addr = manager.replace(SLOW, "127.0.0.1");
                Box::pin(async move {
                    sleep(lag).await;
                    Ok(Endpoint::from_shared(format!("http://{addr}"))?.connect().await?)
                })
            }),
            describe: Box::new(move || described.lock().unwrap().clone()),
            boot_id: "boot".to_owned(),
            addr: String::new(),
            managers: Managers::new(None, managers),
            worker: Worker::adopt(Arc::clone(&fake), reporter.clone(), store.clone(), kept),
            store,
            reporter,
            state,
            calls: tokio::sync::mpsc::channel(1).0,
            obeyed,
            backoff: Backoff::default(),
        };
        let (end, ended) = watch::channel(None);
        let running = tokio::spawn(sessions.run(ended));
        Self { fake, state: receiver, end, running, description, dir }
    }

    async fn connected_to(&mut self, to: &Manager) {
        let there = |state: &AgentState| match state {
            AgentState::Connected { manager, .. } => *manager == to.addr,
            AgentState::Searching { .. }
            | AgentState::Removed { .. }
            | AgentState::Failed { .. }
            | AgentState::Stopped => false,
        };
        let reached = timeout(Duration::from_secs(20), self.state.wait_for(there)).await;
        assert!(reached.is_ok(), "not connected to {}", to.addr);
    }

    /// Makes it leave; nothing of its tasks stays.
    async fn leave(self) {
        self.end.send_replace(Some(End::Leave));
        timeout(Duration::from_secs(10), self.running).await.unwrap().unwrap();
        assert!(self.fake.0.borrow().containers.is_empty(), "{:?}", self.fake.0.borrow());
        assert_eq!(*self.state.borrow(), AgentState::Stopped);
    }

    /// Stops it; its store for the next one.
    async fn stop(self) -> TempDir {
        self.end.send_replace(Some(End::Stop));
        timeout(Duration::from_secs(10), self.running).await.unwrap().unwrap();
        assert_eq!(*self.state.borrow(), AgentState::Stopped);
        assert_eq!(self.fake.0.receiver_count(), 0, "no runner is left");
        Store::let_go().await;
        self.dir
    }
}

fn plain(slot: u64) -> Task {
    task(slot, |_| {})
}

#[tokio::test]
async fn assignments_are_carried_out_and_reported() {
    let web = plain(1);
    let manager = Manager::start(&[&web]).await;
    let agent = Agent::start(&[&manager]);

    manager.until(|told| told.reports.contains(&(web.id, TaskState::Running))).await;
    let ended = [wanted(&web, TaskState::Shutdown)];
    manager.send(message(Kind::Incremental, 11, ("1", "2"), &ended)).await;
    manager.until(|told| told.reports.contains(&(web.id, TaskState::Shutdown))).await;

    manager.until(|told| told.heartbeats >= 3).await;
    let told = manager.told.borrow().clone();
    let states: Vec<TaskState> = told.reports.iter().map(|(_, state)| *state).collect();
    assert!(states.is_sorted(), "{states:?}");
    assert_eq!((told.sessions.len(), told.streams), (1, 1));
    agent.stop().await;
}

#[tokio::test]
async fn a_node_that_leaves_ends_its_tasks_first() {
    let web = plain(1);
    let manager = Manager::start(&[&web]).await;
    let agent = Agent::start(&[&manager]);
    manager.until(|told| told.reports.contains(&(web.id, TaskState::Running))).await;

    let fake = Arc::clone(&agent.fake);
    agent.leave().await;

    assert_eq!((fake.count("stop", &web), fake.count("remove", &web)), (1, 1));
}

#[tokio::test]
async fn a_node_that_was_removed_ends_its_tasks_and_asks_no_more() {
    let web = plain(1);
    let manager = Manager::start(&[&web]).await;
    let mut agent = Agent::start(&[&manager]);
    manager.until(|told| told.reports.contains(&(web.id, TaskState::Running))).await;

    manager.change(|told| told.removed = true);
    manager.hang_up();

    let removed = |state: &AgentState| matches!(state, AgentState::Removed { .. });
    timeout(Duration::from_secs(20), agent.state.wait_for(removed)).await.unwrap().unwrap();
    agent.fake.until(|world| world.containers.is_empty()).await;
    assert_eq!(manager.told.borrow().sessions.len(), 2);
    agent.stop().await;
}

#[tokio::test]
async fn a_lost_session_is_opened_again_and_told_everything() {
    let web = plain(1);
    let manager = Manager::start(&[&web]).await;
    let agent = Agent::start(&[&manager]);
    manager.until(|told| told.reports.contains(&(web.id, TaskState::Running))).await;

    manager.change(|told| told.reports.clear());
    manager.hang_up();

    manager.until(|told| told.reports.contains(&(web.id, TaskState::Running))).await;
    let sessions = manager.told.borrow().sessions.clone();
    let stated = sessions.iter().map(|session| (session.epoch, session.obeyed_index));
    assert_eq!(stated.collect::<Vec<_>>(), [(0, 0), (1, 10)]);
    assert_eq!(agent.fake.count("start", &web), 1, "the task went on");
    agent.stop().await;
}

#[tokio::test]
async fn a_gap_reopens_the_assignments_and_not_the_session() {
    let (web, late) = (plain(1), plain(2));
    let manager = Manager::start(&[&web]).await;
    let agent = Agent::start(&[&manager]);
    manager.until(|told| told.reports.contains(&(web.id, TaskState::Running))).await;

    manager.change(|told| told.tasks.push(late.clone()));
    let ended = [wanted(&web, TaskState::Shutdown)];
    manager.send(message(Kind::Incremental, 12, ("5", "6"), &ended)).await;

    manager.until(|told| told.reports.contains(&(late.id, TaskState::Running))).await;
    let told = manager.told.borrow().clone();
    assert_eq!((told.sessions.len(), told.streams), (1, 2));
    assert_eq!(agent.fake.get(&web), Some(Container::Running), "the gap was not obeyed");
    agent.stop().await;
}

#[tokio::test]
async fn a_superseded_session_is_replaced_by_another() {
    let web = plain(1);
    let manager = Manager::start(&[&web]).await;
    manager.change(|told| told.refusals = vec![Code::Aborted]);

    let agent = Agent::start(&[&manager]);

    manager.until(|told| told.reports.contains(&(web.id, TaskState::Running))).await;
    assert_eq!(manager.told.borrow().sessions.len(), 2);
    agent.stop().await;
}

#[tokio::test]
async fn a_report_is_repeated_until_it_is_committed() {
    let web = plain(1);
    let manager = Manager::start(&[&web]).await;
    manager.change(|told| told.refusals = vec![Code::Unavailable, Code::ResourceExhausted]);

    let agent = Agent::start(&[&manager]);

    manager.until(|told| told.reports.contains(&(web.id, TaskState::Running))).await;
    assert_eq!(manager.told.borrow().sessions.len(), 1);
    agent.stop().await;
}

#[tokio::test]
async fn a_manager_that_says_move_is_left_for_another() {
    let web = plain(1);
    let (first, second) = (Manager::start(&[&web]).await, Manager::start(&[&web]).await);
    let mut agent = Agent::start(&[&first, &second]);
    agent.connected_to(&first).await;
    first.until(|told| told.reports.contains(&(web.id, TaskState::Running))).await;

    first.change(|told| told.unfit = true);

    agent.connected_to(&second).await;
    second.until(|told| told.reports.contains(&(web.id, TaskState::Running))).await;
    assert_eq!(agent.fake.count("start", &web), 1);
    agent.stop().await;
}

/// It would be waited for once more, and the node be down before another one hears it.
#[tokio::test]
async fn a_manager_that_falls_silent_is_left_for_another_at_once() {
    let web = plain(1);
    let (first, second) = (Manager::start(&[&web]).await, Manager::start(&[&web]).await);
    let mut agent = Agent::start(&[&first, &second]);
    first.until(|told| told.heartbeats > 0).await;

    first.change(|told| told.silent = true);

    agent.connected_to(&second).await;
    assert_eq!(first.told.borrow().sessions.len(), 1);
    agent.stop().await;
}

/// A node counts as down after six seconds.
#[tokio::test]
async fn managers_that_are_not_reached_keep_no_other_waiting() {
    let web = plain(1);
    let there = Manager::start(&[&web]).await;
    let lost = [1, 2].map(|port| format!("{UNREACHED}:{port}"));
    let began = Instant::now();

    let known = lost.into_iter().chain([there.addr.clone()]).collect();
    let mut agent = Agent::start_at(tempfile::tempdir().unwrap(), known);

    agent.connected_to(&there).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    agent.stop().await;
}

#[tokio::test]
async fn a_slow_manager_serves_when_a_fast_one_is_not_fit() {
    let web = plain(1);
    let (slow, fast) = (Manager::start(&[&web]).await, Manager::start(&[]).await);
    fast.change(|told| told.unfit = true);

    let behind = slow.addr.replace("127.0.0.1", SLOW);
    let agent = Agent::start_at(tempfile::tempdir().unwrap(), vec![behind, fast.addr.clone()]);

    slow.until(|told| told.reports.contains(&(web.id, TaskState::Running))).await;
    agent.stop().await;
}

#[tokio::test]
async fn who_refuses_a_connection_is_told() {
    let agent = Agent::start_at(tempfile::tempdir().unwrap(), vec!["127.0.0.1:1".to_owned()]);

    let told = |state: &AgentState| match state {
        AgentState::Searching { why, .. } => why.contains("connect: Connection refused"),
        _ => false,
    };
    let waited = timeout(Duration::from_secs(20), agent.state.clone().wait_for(told)).await.is_ok();
    assert!(waited, "{:?}", agent.state.borrow());
    agent.stop().await;
}

#[tokio::test]
async fn orders_of_a_manager_that_lags_are_not_obeyed() {
    let web = plain(1);
    let manager = Manager::start(&[&web]).await;
    let agent = Agent::start(&[&manager]);
    manager.until(|told| told.reports.contains(&(web.id, TaskState::Running))).await;

    manager.change(|told| (told.index, told.tasks) = (9, Vec::new()));
    manager.hang_up();
    manager.until(|told| told.sessions.len() >= 3).await;

    assert_eq!(agent.fake.get(&web), Some(Container::Running));
    agent.stop().await;
}

#[tokio::test]
async fn tasks_go_on_without_any_fit_manager() {
    let web = plain(1);
    let manager = Manager::start(&[&web]).await;
    let mut agent = Agent::start(&[&manager]);
    manager.until(|told| told.reports.contains(&(web.id, TaskState::Running))).await;

    manager.change(|told| told.unfit = true);
    manager.hang_up();

    let lost =
        |state: &AgentState| matches!(state, AgentState::Searching { why, .. } if !why.is_empty());
    timeout(Duration::from_secs(20), agent.state.wait_for(lost)).await.unwrap().unwrap();
    assert_eq!(agent.fake.get(&web), Some(Container::Running));
    agent.stop().await;
}

#[tokio::test]
async fn a_restarted_agent_states_what_it_obeyed_and_refuses_older_orders() {
    let web = plain(1);
    let manager = Manager::start(&[&web]).await;
    let agent = Agent::start(&[&manager]);
    manager.until(|told| told.reports.contains(&(web.id, TaskState::Running))).await;
    let dir = agent.stop().await;

    manager.change(|told| (told.index, told.tasks) = (9, Vec::new()));
    let agent = Agent::start_in(dir, &[&manager]);
    agent.fake.set(&web, Container::Running);
    manager.until(|told| told.sessions.len() >= 3).await;

    let told = manager.told.borrow().clone();
    assert_eq!(told.sessions[1].obeyed_index, 10);
    assert_eq!(agent.fake.get(&web), Some(Container::Running), "not ended by an older order");
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_description_opens_a_session() {
    let manager = Manager::start(&[]).await;
    let mut agent = Agent::start(&[&manager]);
    agent.connected_to(&manager).await;

    agent.description.lock().unwrap().hostname = "renamed".to_owned();

    let renamed = |session: &v1::SessionRequest| {
        session.description.as_ref().is_some_and(|it| it.hostname == "renamed")
    };
    manager.until(|told| told.sessions.iter().any(renamed)).await;
    agent.stop().await;
}
