//! A cluster of `swarm dev` that loses nodes and gets them back.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use netns_test::Cluster;
use swarm_client::{Client, Consistency, TaskFilter};
use swarm_types::object::node::NodeState;
use swarm_types::spec::service::{ServiceMode, ServiceSpec};
use swarm_types::{IdSource, Node, ServiceId, TaskState};
use testbed::{Format, Layers};

/// Managers of the cluster.
pub(crate) const MANAGERS: usize = 3;
/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(90);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(10);
const SERVICE: &str = "moving";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How a leader goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// SIGKILL.
    Killed,
    /// SIGTERM, as a service manager does.
    Asked,
}

/// What the loss of a worker took.
pub(crate) struct Lost {
    /// Until it was down.
    pub(crate) down: Duration,
    /// Until all its tasks ran elsewhere.
    pub(crate) moved: Duration,
}

/// A cluster, removed when dropped.
pub(crate) struct Rig {
    cluster: Cluster,
    runtime: tokio::runtime::Runtime,
}

impl Rig {
    pub(crate) fn up() -> Result<Self> {
        let cluster = Cluster::named();
        let managers = MANAGERS.to_string();
        let _ = cluster.dev(&["up", "--managers", &managers, "--workers", "2"]).ok();
        let archive = tempfile::NamedTempFile::new()?;
        std::fs::write(
            archive.path(),
            testbed::busybox_archive(Format::DockerArchive, Layers::Plain),
        )?;
        let _ = cluster.dev(&["image", "load", &archive.path().display().to_string()]).ok();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { cluster, runtime })
    }

    /// The daemon of a node.
    pub(crate) fn pid(&self, node: &str) -> Result<u32> {
        let pid = self.cluster.status(node)["Pid"].as_u64();
        Ok(u32::try_from(pid.ok_or_else(|| format!("{node} does not run"))?)?)
    }

    fn client(&self, node: &str) -> Client {
        let socket = self.cluster.status(node)["Socket"].as_str().map(PathBuf::from);
        let _inside = self.runtime.enter();
        Client::unix(&socket.unwrap_or_default())
    }

    /// The managers, the leader first.
    fn managers(&self) -> Result<Vec<String>> {
        let told = until("the managers are there", || {
            let ask = ["node", "ls", "--format", "{{.ManagerStatus}} {{.Hostname}}"];
            let told = self.cluster.swarm("m1", &ask).stdout;
            let fit = |line: &&str| line.starts_with("Leader ") || line.starts_with("Reachable ");
            (told.lines().filter(fit).count() == MANAGERS).then_some(told)
        })?;
        let mut managers: Vec<(&str, &str)> =
            told.lines().filter_map(|line| line.split_once(' ')).collect();
        managers.retain(|(status, _)| !status.is_empty());
        // Leader stands before Reachable.
        managers.sort_unstable();
        Ok(managers.into_iter().map(|(_, name)| name.to_owned()).collect())
    }

    /// The leader is gone; until a write that began after is acknowledged.
    pub(crate) fn lose_leader(&self, stop: Stop) -> Result<Duration> {
        let managers = self.managers()?;
        let (leader, other) = (&managers[0], &managers[1]);
        let client = self.client(other);
        self.write(&client)?;
        let took = {
            let start = Instant::now();
            self.end(leader, stop)?;
            self.write(&client)?;
            start.elapsed()
        };
        self.start(leader);
        let _ = self.managers()?;
        Ok(took)
    }

    fn end(&self, node: &str, stop: Stop) -> Result<()> {
        let signal = if stop == Stop::Killed { "-KILL" } else { "-TERM" };
        let ended = Command::new("kill").args([signal, &self.pid(node)?.to_string()]).status()?;
        if ended.success() { Ok(()) } else { Err(format!("{node} was not signalled").into()) }
    }

    /// Starts a node whose daemon has ended or is about to.
    fn start(&self, node: &str) {
        let _ = until("the daemon is gone", || {
            (self.cluster.status(node)["State"] != "running").then_some(())
        });
        let _ = self.cluster.dev(&["start", node]).ok();
    }

    /// Creates a service without tasks, and repeats it until a manager has agreed.
    fn write(&self, client: &Client) -> Result<()> {
        let name: ServiceId = IdSource::system().draw();
        let mut spec = ServiceSpec::default();
        spec.annotations.name = format!("s{name}");
        spec.mode = ServiceMode::Replicated { replicas: 0 };
        if let swarm_types::spec::task::TaskRuntime::Container(container) = &mut spec.task.runtime {
            "busybox:test".clone_into(&mut container.image);
        }
        until("a write is acknowledged", || {
            self.runtime.block_on(client.create_service(&spec)).ok().map(drop)
        })
    }

    /// Starts the tasks that are going to move.
    pub(crate) fn serve(&self, tasks: usize) -> Result<()> {
        let replicas = tasks.to_string();
        let place = ["--detach", "--name", SERVICE, "--constraint", "node.role==worker"];
        let what = ["--replicas", &replicas, "busybox:test", "sleep", "1000000"];
        let create = [&["service", "create"], &place[..], &what[..]].concat();
        let _ = self.cluster.swarm("m1", &create).ok();
        let client = self.client("m1");
        until("the tasks run", || {
            (self.on(&client, "w1") + self.on(&client, "w2") == tasks).then_some(())
        })
    }

    /// Tasks that run on a node, as far as that manager knows.
    fn on(&self, client: &Client, name: &str) -> usize {
        let Some(node) = self.node(client, name) else { return 0 };
        let all = TaskFilter::default();
        let tasks = client.tasks(&all, Consistency::Stale);
        let Ok(tasks) = self.runtime.block_on(tasks) else { return 0 };
        let runs = |task: &&swarm_types::Task| {
            task.node == Some(node.id) && task.wanted() && task.status.state == TaskState::Running
        };
        tasks.value.iter().filter(runs).count()
    }

    fn node(&self, client: &Client, name: &str) -> Option<Node> {
        let nodes = self.runtime.block_on(client.nodes(Consistency::Stale)).ok()?.value;
        nodes.into_iter().find(|node| node.description.hostname == name)
    }

    /// The worker with more tasks, and the other.
    fn workers(&self, client: &Client) -> (&'static str, &'static str) {
        if self.on(client, "w1") >= self.on(client, "w2") { ("w1", "w2") } else { ("w2", "w1") }
    }

    /// A worker is cut off; until it is down, and until every task runs on the other.
    pub(crate) fn lose_worker(&self, tasks: usize) -> Result<Lost> {
        let client = self.client("m1");
        let (lost, left) = self.workers(&client);
        let start = Instant::now();
        let _ = self.cluster.dev(&["partition", lost]).ok();
        until("the worker is down", || self.is(&client, lost, NodeState::Down))?;
        let down = start.elapsed();
        until("the tasks moved", || (self.on(&client, left) == tasks).then_some(()))?;
        let moved = start.elapsed();
        self.heal(&client, lost)?;
        Ok(Lost { down, moved })
    }

    /// Leader and worker are lost at once; until every task runs on the other worker.
    pub(crate) fn lose_both(&self, tasks: usize) -> Result<Duration> {
        let managers = self.managers()?;
        let client = self.client(&managers[1]);
        let (lost, left) = self.workers(&client);
        let start = Instant::now();
        self.end(&managers[0], Stop::Killed)?;
        let _ = self.cluster.dev(&["partition", lost]).ok();
        until("the tasks moved", || (self.on(&client, left) == tasks).then_some(()))?;
        let took = start.elapsed();
        self.start(&managers[0]);
        self.heal(&client, lost)?;
        Ok(took)
    }

    fn heal(&self, client: &Client, worker: &str) -> Result<()> {
        let _ = self.cluster.dev(&["heal"]).ok();
        until("the worker is back", || self.is(client, worker, NodeState::Ready))?;
        until("its old tasks have ended", || self.cluster.tasks(worker).is_empty().then_some(()))
    }

    fn is(&self, client: &Client, worker: &str, state: NodeState) -> Option<()> {
        self.node(client, worker).filter(|node| node.status.state == state).map(drop)
    }

    /// A node leaves, and joins in that role.
    pub(crate) fn join(&self, role: &str) -> Result<Duration> {
        let (node, address) = if role == "worker" { ("w1", "m1") } else { ("m3", "m1") };
        let token = self.cluster.swarm("m1", &["join-token", role, "-q"]).ok().to_owned();
        let address =
            self.cluster.status(address)["Address"].as_str().unwrap_or_default().to_owned();
        let before = self.node(&self.client("m1"), node);
        if role == "manager" {
            let _ = self.cluster.swarm("m1", &["node", "demote", node]).ok();
        }
        let _ = self.cluster.swarm(node, &["leave", "--force"]).ok();
        if let Some(before) = before {
            let _ =
                self.cluster.swarm("m1", &["node", "rm", "--force", &before.id.to_string()]).ok();
        }
        let start = Instant::now();
        let _ =
            self.cluster.swarm(node, &["join", "--token", &token, &format!("{address}:2377")]).ok();
        Ok(start.elapsed())
    }
}

/// Looks until there is something.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(seen) = look() {
            return Ok(seen);
        }
        if Instant::now() > deadline {
            return Err(format!("not in {} s: {what}", DEADLINE.as_secs()).into());
        }
        sleep(PAUSE);
    }
}
