//! Figures of the planner, one `name value unit` a line: one service on clusters of three shapes.
//!
//! With arguments, only the shapes of those names: `planner-bench 10k_on_1k`. Rates are of the CPU
//! time of the only thread, from `/proc/self/schedstat`, so that what else runs on the machine
//! counts little; single rounds are too short for that clock, and are told in wall time.

#![allow(clippy::print_stdout, reason = "figures are its results")]
#![allow(clippy::unwrap_used, reason = "a broken bench should stop")]

use std::time::{Duration, Instant};

use sim::Cluster;
use swarm_planner::{Dirty, Scope, round};
use swarm_types::{Change, Group, IdSource, ServiceId};

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
    cluster: Cluster,
    dirty: Dirty,
    ids: IdSource,
}

/// CPU time spent, rounds made; and in wall time the planning, and the longest round of it.
#[derive(Default)]
struct Spent {
    planning: Duration,
    applying: Duration,
    planning_wall: Duration,
    longest: Duration,
    rounds: u32,
}

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let is_known = |name: &String| SHAPES.iter().any(|shape| shape.name == name);
    assert!(names.iter().all(is_known), "the shapes are 10k_on_1k, 100k_on_1k and 1k_on_100k");
    let wanted = |shape: &&Shape| names.is_empty() || names.iter().any(|name| shape.name == name);
    SHAPES.iter().filter(wanted).for_each(measure);
}

/// What the process had of a CPU so far.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
}

fn measure(Shape { name, nodes, tasks }: &Shape) {
    let mut dirty = Dirty::default();
    dirty.mark(Scope::All);
    // Not the seed of the cluster: a request id that was seen is not applied again.
    let mut bench = Bench { cluster: Cluster::new(*nodes), dirty, ids: IdSource::seeded(2) };
    bench.settle();

    let service = bench.service(u64::from(*tasks));
    let fill = bench.settle();
    rate(&format!("planner_{name}_plan"), *tasks, fill.planning);
    rate(&format!("planner_{name}_plan_and_apply"), *tasks, fill.planning + fill.applying);
    println!("planner_{name}_rounds {} rounds", fill.rounds);
    println!("planner_{name}_longest_round {} us", fill.longest.as_micros());
    println!("planner_{name}_small_service_p50 {} us", bench.small_services().as_micros());

    bench.change(Change::RemoveService(service));
    let remove = bench.settle();
    rate(&format!("planner_{name}_remove"), *tasks, remove.planning);
}

fn rate(name: &str, tasks: u32, time: Duration) {
    println!("{name} {:.0} tasks/s", f64::from(tasks) / time.as_secs_f64());
}

impl Bench {
    fn apply(&mut self, groups: Vec<Group>) {
        let applied = self.cluster.apply(groups);
        applied.results.into_iter().for_each(|result| _ = result.unwrap());
        self.dirty.note(&applied.events);
    }

    fn change(&mut self, change: Change) {
        let group = self.cluster.group(change);
        self.apply(vec![group]);
    }

    /// Median time to plan a service of one task beside all that is there.
    fn small_services(&mut self) -> Duration {
        let mut times: Vec<Duration> = (0..SMALL)
            .map(|_| {
                self.service(1);
                self.settle().planning_wall
            })
            .collect();
        times.sort_unstable();
        times[SMALL / 2]
    }

    fn settle(&mut self) -> Spent {
        let mut spent = Spent::default();
        loop {
            let view = self.cluster.view();
            let (start, start_wall) = (cpu_time(), Instant::now());
            let plan = round(&view, &mut self.dirty, &mut self.ids, self.cluster.now);
            let wall = start_wall.elapsed();
            spent.planning += cpu_time() - start;
            spent.planning_wall += wall;
            if plan.groups.is_empty() {
                return spent;
            }
            drop(view);
            spent.longest = spent.longest.max(wall);
            let start = cpu_time();
            self.apply(plan.groups);
            spent.applying += cpu_time() - start;
            spent.rounds += 1;
        }
    }

    fn service(&mut self, replicas: u64) -> ServiceId {
        let create = self.cluster.service(0, replicas);
        let Change::CreateService(service) = &create else { unreachable!("it makes a service") };
        let id = service.id;
        self.change(create);
        id
    }
}
