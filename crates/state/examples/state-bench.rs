//! `state-bench [--smoke]`: what `apply`, a million tasks and their records cost.
//!
//! Prints one figure per line, `name value unit`. CPU time is that of the only thread, from
//! `/proc/self/schedstat`; memory is the growth of the resident set. `--smoke` leaves the million
//! out.

#![expect(clippy::disallowed_methods, reason = "a bench makes ids, apply does not")]
#![expect(clippy::print_stdout, reason = "figures are the product")]

use std::error::Error;
use std::sync::Arc;

use swarm_state::{Snapshot, State};
use swarm_types::object::service::Endpoint;
use swarm_types::spec::Annotations;
use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::service::ServiceSpec;
use swarm_types::spec::task::{TaskRuntime, TaskSpec};
use swarm_types::{
    Change, CreateTask, Entry, Group, IdSource, LEVEL, Meta, NewTemplate, Service, ServiceId,
    TaskState, Timestamp,
};

/// Changes in an entry, the most that raft puts into one.
const PER_ENTRY: usize = 4000;
const SERVICES: usize = 100;

type Res<T> = Result<T, Box<dyn Error>>;

fn main() -> Res<()> {
    for per_group in [1, 100] {
        let mut bench = Bench::new(7)?;
        let entries = bench.task_entries(100_000, per_group);
        let before = cpu_ns()?;
        for entry in &entries {
            bench.apply(entry)?;
        }
        let each = (cpu_ns()? - before) / 100_000;
        println!("state_apply_create_task_groups_of_{per_group} {} us", decimal(each));
    }

    if std::env::args().any(|arg| arg == "--smoke") {
        return Ok(());
    }
    let mut bench = Bench::new(8)?;
    let before = rss_bytes()?;
    let start = cpu_ns()?;
    for _ in 0..100 {
        for entry in bench.task_entries(10_000, 1) {
            bench.apply(&entry)?;
        }
    }
    let each = (cpu_ns()? - start) / 1_000_000;
    println!("state_fill_1m_with_making_entries {} us", decimal(each));
    println!("state_memory_per_task_1m {} B", (rss_bytes()? - before) / 1_000_000);

    let start = cpu_ns()?;
    let records = bench.published.records().count();
    println!("state_iterate_records_of_1m {} ms", (cpu_ns()? - start) / 1_000_000);
    println!("state_records_of_1m {records} count");

    let start = cpu_ns()?;
    let restored = State::restore(bench.published.records())?;
    println!("state_restore_1m {} ms", (cpu_ns()? - start) / 1_000_000);
    let same = restored.snapshot().hash() == bench.published.hash();
    if same { Ok(()) } else { Err("the restored state differs".into()) }
}

struct Bench {
    state: State,
    /// Kept as raft keeps it: every entry copies what it writes.
    published: Snapshot,
    ids: IdSource,
    services: Vec<ServiceId>,
    made: u64,
    index: u64,
}

impl Bench {
    fn new(seed: u64) -> Res<Self> {
        let state = State::new();
        let published = state.snapshot();
        let ids = IdSource::seeded(seed);
        let mut bench = Self { state, published, ids, services: Vec::new(), made: 0, index: 0 };
        for number in 0..SERVICES {
            let service = service(bench.ids.draw(), number);
            bench.services.push(service.id);
            let entry = bench.entry(vec![vec![Change::CreateService(Box::new(service))]]);
            bench.apply(&entry)?;
        }
        Ok(bench)
    }

    fn apply(&mut self, entry: &Entry) -> Res<()> {
        self.index += 1;
        let applied = self.state.apply(self.index, entry)?;
        self.published = self.state.snapshot();
        match applied.results.into_iter().find_map(Result::err) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }

    fn entry(&mut self, groups: Vec<Vec<Change>>) -> Entry {
        let ids = &mut self.ids;
        let group = |changes| Arc::new(Group { request: ids.draw(), expect: Vec::new(), changes });
        let groups = groups.into_iter().map(group).collect();
        Entry { level: LEVEL, at: Timestamp(1), groups, check: None }
    }

    fn task_entries(&mut self, count: usize, per_group: usize) -> Vec<Entry> {
        let tasks: Vec<Change> = (0..count).map(|_| self.task()).collect();
        let groups: Vec<Vec<Change>> = tasks.chunks(per_group).map(<[Change]>::to_vec).collect();
        let entries = groups.chunks(PER_ENTRY / per_group);
        entries.map(<[Vec<Change>]>::to_vec).map(|groups| self.entry(groups)).collect()
    }

    fn task(&mut self) -> Change {
        let number = self.made;
        self.made += 1;
        let services = self.services.len() as u64;
        let at = usize::try_from(number % services).unwrap_or_default();
        // Services are created in the entries 1, 2, ...: their versions.
        let template =
            NewTemplate::Service { service: self.services[at], spec_version: at as u64 + 1 };
        Change::CreateTask(Box::new(CreateTask {
            id: self.ids.draw(),
            template,
            slot: number / services + 1,
            node: None,
            desired: TaskState::Running,
            replaces: None,
            start_after: Timestamp(0),
            job_iteration: None,
        }))
    }
}

fn service(id: ServiceId, number: usize) -> Service {
    let container = ContainerSpec {
        image: "registry.example.com/team/web:1.2.3".to_owned(),
        env: (0..10).map(|at| format!("VARIABLE_{at}=a value of usual length")).collect(),
        ..ContainerSpec::default()
    };
    let runtime = TaskRuntime::Container(Box::new(container));
    let spec = ServiceSpec {
        annotations: Annotations { name: format!("web-{number}"), ..Annotations::default() },
        task: TaskSpec { runtime, ..TaskSpec::default() },
        ..ServiceSpec::default()
    };
    let endpoint = Endpoint::default();
    let meta = Meta::default();
    Service { id, meta, spec, previous: None, endpoint, update_status: None, job: None }
}

/// Nanoseconds this thread has run.
fn cpu_ns() -> Res<u64> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    Ok(text.split_whitespace().next().ok_or("schedstat is empty")?.parse()?)
}

fn rss_bytes() -> Res<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib * 1024)
}

/// Nanoseconds as microseconds with two digits after the point.
fn decimal(ns: u64) -> String {
    format!("{}.{:02}", ns / 1000, ns % 1000 / 10)
}
