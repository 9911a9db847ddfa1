//! Figures of the planner, one `name value unit` a line: one service on clusters of three shapes.

#![allow(clippy::print_stdout, reason = "figures are its results")]
#![allow(clippy::unwrap_used, reason = "a broken bench should stop")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_planner::{Dirty, round};
use swarm_state::State;
use swarm_types::object::node::{NodeDescription, NodeStatus};
use swarm_types::spec::node::NodeSpec;
use swarm_types::spec::service::{ServiceMode, ServiceSpec};
use swarm_types::{
    Change, Entry, Group, IdSource, LEVEL, Meta, Node, NodeId, OpenSession, Service, ServiceId,
    Timestamp,
};

const NOW: Timestamp = Timestamp(1);
const SMALL: usize = 100;

/// A cluster and the replicas of the service it is given.
struct Shape {
    name: &'static str,
    nodes: usize,
    tasks: u32,
}

const SHAPES: [Shape; 3] = [
    Shape { name: "10k_on_1k", nodes: 1_000, tasks: 10_000 },
    Shape { name: "100k_on_1k", nodes: 1_000, tasks: 100_000 },
    Shape { name: "1k_on_100k", nodes: 100_000, tasks: 1_000 },
];

struct Bench {
    state: State,
    dirty: Dirty,
    ids: IdSource,
}

/// Time spent, and rounds made.
#[derive(Default)]
struct Spent {
    planning: Duration,
    applying: Duration,
    rounds: u32,
}

fn main() {
    for Shape { name, nodes, tasks } in SHAPES {
        let mut bench =
            Bench { state: State::new(), dirty: Dirty::default(), ids: IdSource::seeded(1) };
        (0..nodes).for_each(|_| bench.node());
        bench.settle();

        let service = bench.service(u64::from(tasks));
        let fill = bench.settle();
        rate(&format!("planner_{name}_plan"), tasks, fill.planning);
        rate(&format!("planner_{name}_plan_and_apply"), tasks, fill.planning + fill.applying);
        println!("planner_{name}_rounds {} rounds", fill.rounds);
        println!("planner_{name}_small_service_p50 {} us", bench.small_services().as_micros());

        bench.change(Change::RemoveService(service));
        let remove = bench.settle();
        rate(&format!("planner_{name}_remove"), tasks, remove.planning);
    }
}

fn rate(name: &str, tasks: u32, time: Duration) {
    println!("{name} {:.0} tasks/s", f64::from(tasks) / time.as_secs_f64());
}

impl Bench {
    fn apply(&mut self, groups: Vec<Group>) {
        let groups = groups.into_iter().map(Arc::new).collect();
        let entry = Entry { level: LEVEL, at: NOW, groups, check: None };
        let index = self.state.snapshot().applied() + 1;
        let applied = self.state.apply(index, &entry).unwrap();
        applied.results.into_iter().for_each(|result| _ = result.unwrap());
        self.dirty.note(&applied.events);
    }

    fn change(&mut self, change: Change) {
        let request = self.ids.draw();
        self.apply(vec![Group { request, expect: Vec::new(), changes: vec![change] }]);
    }

    /// Median time to plan a service of one task beside all that is there.
    fn small_services(&mut self) -> Duration {
        let mut times: Vec<Duration> = (0..SMALL)
            .map(|_| {
                self.service(1);
                self.settle().planning
            })
            .collect();
        times.sort_unstable();
        times[SMALL / 2]
    }

    fn settle(&mut self) -> Spent {
        let mut spent = Spent::default();
        loop {
            let view = self.state.snapshot();
            let start = Instant::now();
            let plan = round(&view, &mut self.dirty, &mut self.ids, NOW);
            spent.planning += start.elapsed();
            if plan.groups.is_empty() {
                return spent;
            }
            drop(view);
            let start = Instant::now();
            self.apply(plan.groups);
            spent.applying += start.elapsed();
            spent.rounds += 1;
        }
    }

    fn node(&mut self) {
        let id: NodeId = self.ids.draw();
        let node = Node {
            id,
            meta: Meta::default(),
            spec: NodeSpec::default(),
            description: NodeDescription::default(),
            status: NodeStatus::default(),
            role: Default::default(),
            key_fingerprint: Vec::new(),
            session: None,
            attachments: Vec::new(),
            manager_addr: String::new(),
            raft_id: 0,
        };
        self.change(Change::CreateNode(Box::new(node)));
        let session = self.ids.draw();
        self.change(Change::OpenSession(Box::new(OpenSession {
            node: id,
            session,
            manager: id,
            boot_id: String::new(),
            description: Box::default(),
            addr: String::new(),
        })));
    }

    fn service(&mut self, replicas: u64) -> ServiceId {
        let id: ServiceId = self.ids.draw();
        let mut spec =
            ServiceSpec { mode: ServiceMode::Replicated { replicas }, ..ServiceSpec::default() };
        spec.annotations.name = id.to_string();
        self.change(Change::CreateService(Box::new(Service {
            id,
            meta: Meta::default(),
            spec,
            previous: None,
            endpoint: Default::default(),
            update_status: None,
            job: None,
        })));
        id
    }
}
