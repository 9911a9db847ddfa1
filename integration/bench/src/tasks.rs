//! Starting, removing, replacing and re-adopting tasks, against the same work done by `ctr`.
//!
//! Processor time is that of a cgroup which holds daemon, containerd, shims, runc and containers:
//! it is steadier than wall time. The rounds of the floor and of the daemon take turns on one
//! containerd, so that whatever else the machine does meets both.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use node_test::{Node, Process};
use swarm_client::{Client, Consistency, TaskFilter};
use swarm_types::{Task, TaskState};

use crate::cgroup::Cgroup;
use crate::ctr::Ctr;
use crate::figure::{figure, note, spread};
use crate::process::{proportional, resident};
use crate::{Effort, Outcome};

const IMAGE: &str = "docker.io/library/busybox:test";
/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(120);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) fn run(effort: Effort) -> Outcome {
    let (rounds, count) = match effort {
        Effort::Full => (5, 100),
        Effort::Smoke => (1, 10),
    };
    let cgroup = Cgroup::new(&format!("swarm-bench-{}", std::process::id()))?;
    let node = Node::ready_with(&["--cgroup-parent", &cgroup.tasks()]);
    cgroup.take("daemons", node.pid())?;
    cgroup.take("daemons", node.containerd_pid())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = {
        let _inside = runtime.enter();
        Client::unix(&node.socket())
    };
    let bench = Bench { client, node, cgroup, runtime };
    start_and_remove(&bench, rounds, count)?;
    remove_one(&bench, rounds)?;
    replace(&bench, 4 * rounds)?;
    settled(&bench, count)
}

/// A node, what it uses, and a connection to it.
struct Bench {
    client: Client,
    node: Node,
    cgroup: Cgroup,
    runtime: tokio::runtime::Runtime,
}

/// What a piece of work took.
#[derive(Default)]
struct Took {
    /// Seconds of processor time.
    cpu: Vec<f64>,
    /// Seconds.
    wall: Vec<f64>,
}

impl Took {
    fn each(&self, other: &Self, of: fn(&Self) -> &Vec<f64>) -> Vec<f64> {
        of(self).iter().zip(of(other)).map(|(ours, floor)| ours / floor).collect()
    }
}

fn start_and_remove(bench: &Bench, rounds: usize, count: usize) -> Outcome {
    let logs = bench.node.dir().join("floor-logs");
    fs::create_dir_all(&logs)?;
    let socket = bench.node.dir().join("c/c.sock");
    let ctr = Ctr { socket, cgroup: &bench.cgroup, logs, image: IMAGE };
    ctr.import(Path::new(&bench.node.archive(testbed::Format::DockerArchive)))?;

    let (mut floor, mut host, mut own) = (Took::default(), Took::default(), Took::default());
    let (mut floor_rm, mut host_rm) = (Took::default(), Took::default());
    let mut without_ctr = Vec::new();
    for _ in 0..rounds {
        let before = bench.cgroup.used_by("ctr")?;
        bench.measure(&mut floor, || ctr.start(count))?;
        let by_ctr = bench.cgroup.used_by("ctr")? - before;
        without_ctr.extend(floor.cpu.last().map(|all| all - by_ctr.as_secs_f64()));
        bench.measure(&mut floor_rm, || ctr.remove(count))?;

        bench.measure(&mut host, || bench.start("host", &["--network", "host"], count))?;
        bench.measure(&mut host_rm, || bench.remove("host"))?;
        bench.measure(&mut own, || bench.start("own", &[], count))?;
        bench.remove("own")?;
    }

    note(format_args!("tasks: n = {rounds} rounds of {count} tasks, taking turns with ctr"));
    let per_task = |took: &Took| took.cpu.iter().map(|all| all * 1e3 / count as f64).collect();
    let (mut a, mut b, mut c): (Vec<f64>, Vec<f64>, Vec<f64>) =
        (per_task(&floor), per_task(&host), per_task(&own));
    spread("task_start_cpu_floor", &mut a, "ms");
    let mut without: Vec<f64> = without_ctr.iter().map(|all| all * 1e3 / count as f64).collect();
    spread("task_start_cpu_floor_without_ctr", &mut without, "ms");
    spread("task_start_cpu_host_network", &mut b, "ms");
    spread("task_start_cpu_own_netns", &mut c, "ms");
    spread("task_start_cpu_host_network_to_floor", &mut host.each(&floor, |it| &it.cpu), "ratio");
    spread("task_start_cpu_own_netns_to_floor", &mut own.each(&floor, |it| &it.cpu), "ratio");
    spread(
        "tasks_start_wall_host_network_to_floor",
        &mut host.each(&floor, |it| &it.wall),
        "ratio",
    );
    spread("tasks_start_wall_own_netns_to_floor", &mut own.each(&floor, |it| &it.wall), "ratio");
    spread("tasks_start_wall_host_network", &mut host.wall, "s");
    spread("tasks_remove_wall_to_floor", &mut host_rm.each(&floor_rm, |it| &it.wall), "ratio");
    spread("tasks_remove_wall", &mut host_rm.wall, "s");
    Ok(())
}

fn remove_one(bench: &Bench, rounds: usize) -> Outcome {
    let mut took = Took::default();
    for _ in 0..rounds {
        bench.start("one", &["--network", "host"], 1)?;
        bench.measure(&mut took, || bench.remove("one"))?;
    }
    spread("task_remove_wall", &mut took.wall, "s");
    Ok(())
}

/// From a killed container to its replacement running.
fn replace(bench: &Bench, rounds: usize) -> Outcome {
    bench.start("again", &["--network", "host", "--restart-delay", "0s"], 1)?;
    let mut took = Vec::new();
    for _ in 0..rounds {
        let old = bench.running("again")?.pop().ok_or("nothing runs")?;
        let start = Instant::now();
        pid(&old)?.kill();
        bench.until("the replacement runs", || {
            Ok(bench.running("again")?.iter().any(|task| task.id != old.id))
        })?;
        took.push(start.elapsed().as_secs_f64());
    }
    bench.remove("again")?;
    spread("task_replaced_wall", &mut took, "s");
    Ok(())
}

/// What tasks that just run cost, and how soon a daemon that starts has them again.
fn settled(bench: &Bench, count: usize) -> Outcome {
    let before = resident(bench.node.pid())?;
    bench.start("many", &[], count)?;
    let after = resident(bench.node.pid())?;
    let per_task = (after.saturating_sub(before)) as f64 / 1e6 / count as f64;
    figure("daemon_rss_per_task", per_task, "MB");
    let mut writers = log_writers(bench.node.dir())?;
    if writers.len() != count {
        return Err(format!("{} log writers for {count} tasks", writers.len()).into());
    }
    spread("log_writer_pss", &mut writers, "MB");

    let old: Vec<_> = bench.node.processes();
    bench.node.kill_daemon();
    let start = Instant::now();
    bench.node.start_daemon();
    bench.until("all tasks are adopted", || {
        Ok(bench.node.log().contains(&format!("adopted {count} tasks")))
    })?;
    figure("daemon_start_to_adopted", start.elapsed().as_secs_f64(), "s");
    if bench.node.processes() != old {
        return Err("a restart of the daemon changed what runs".into());
    }
    bench.remove("many")
}

impl Bench {
    /// Does `work` and adds what it took.
    fn measure<E: Into<Box<dyn Error>>>(
        &self,
        took: &mut Took,
        work: impl FnOnce() -> Result<(), E>,
    ) -> Outcome {
        let (cpu, start) = (self.cgroup.used()?, Instant::now());
        work().map_err(Into::into)?;
        took.wall.push(start.elapsed().as_secs_f64());
        took.cpu.push((self.cgroup.used()? - cpu).as_secs_f64());
        Ok(())
    }

    /// Creates a service and waits until all its tasks run.
    fn start(&self, name: &str, flags: &[&str], count: usize) -> Outcome {
        let replicas = count.to_string();
        let line = ["service", "create", "--detach", "--name", name, "--replicas", &replicas];
        let stop = ["--stop-signal", "SIGKILL"];
        let what = ["busybox:test", "sleep", "100000"];
        let _ = self.node.swarm(&[&line[..], &stop, flags, &what].concat()).ok();
        self.until("all tasks run", || Ok(self.running(name)?.len() == count))
    }

    /// Removes a service and waits until containerd holds none of its containers.
    fn remove(&self, name: &str) -> Outcome {
        let _ = self.node.swarm(&["service", "rm", name]).ok();
        self.until("no container is left", || Ok(self.node.containers().is_empty()))
    }

    /// The tasks of a service that run.
    fn running(&self, name: &str) -> Result<Vec<Task>, Box<dyn Error>> {
        let all = TaskFilter::default();
        let tasks = self.client.tasks(&all, Consistency::Stale);
        let mut tasks = self.runtime.block_on(tasks)?.value;
        tasks.retain(|task| {
            task.status.state == TaskState::Running
                && task.wanted()
                && task.template.service_annotations.name == name
        });
        Ok(tasks)
    }

    fn until(&self, what: &str, mut look: impl FnMut() -> Result<bool, Box<dyn Error>>) -> Outcome {
        let deadline = Instant::now() + DEADLINE;
        while !look()? {
            if Instant::now() > deadline {
                return Err(format!("not within {} s: {what}", DEADLINE.as_secs()).into());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

fn pid(task: &Task) -> Result<Process, Box<dyn Error>> {
    let container = task.status.container.as_ref().ok_or("a running task without a container")?;
    Ok(Process(i32::try_from(container.pid)?))
}

/// What each log writer below a directory takes, in MB.
fn log_writers(dir: &Path) -> std::io::Result<Vec<f64>> {
    let mut writers = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains("log-writer") && line.contains(&*dir.to_string_lossy()) {
            writers.push(proportional(pid)? as f64 / 1e6);
        }
    }
    Ok(writers)
}
