//! `swarm stats [--no-stream] [--no-trunc] [TASK...]`
//!
//! How much tasks use, redrawn every second on a terminal: those that are named, on any node, or all
//! of this node.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use swarm_client::{Client, Consistency, Often, StatsSample, TaskFilter, TaskStats};
use swarm_types::TaskId;
use swarm_types::text::{binary_size, decimal_size, natural_cmp, short_id};

use crate::cmd::{all_done, task};
use crate::output::{List, ListKind, Printer, Row};

static KIND: ListKind = ListKind {
    table: "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
    headers: &[
        ("ID", "CONTAINER ID"),
        ("Container", "CONTAINER"),
        ("Name", "NAME"),
        ("CPUPerc", "CPU %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("MemPerc", "MEM %"),
        ("NetIO", "NET I/O"),
        ("BlockIO", "BLOCK I/O"),
        ("PIDs", "PIDS"),
    ],
    raw: &[("id", "{{.ID}}"), ("name", "{{.Name}}")],
    quiet: "{{.ID}}",
    config_key: "statsFormat",
};

#[derive(clap::Args, Debug)]
pub(crate) struct Stats {
    /// Show one result and end
    #[arg(long)]
    no_stream: bool,
    /// Do not truncate ids
    #[arg(long)]
    no_trunc: bool,
    /// Accepted; tasks that do not run use nothing
    #[arg(long, short)]
    all: bool,
    /// Tasks of any node, by id, start of an id, SERVICE.SLOT or SERVICE.NODE; all of this node
    /// when left out
    #[arg(value_name = "TASK")]
    tasks: Vec<String>,
}

pub(crate) async fn run(args: Stats, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let mut wanted = Vec::new();
    for name in &args.tasks {
        wanted.push(task::find(name, "swarm service ps", client).await?.id);
    }
    let mut stream = client.stats(&wanted, Often::EachSecond).await?;
    let mut names = Names::default();
    let mut before = None;
    let redraws = !args.no_stream && std::io::stdout().is_terminal();
    let mut told = Vec::new();
    while let Some(StatsSample { tasks: sample, missing }) = stream.next().await? {
        names.learn(&sample, client).await?;
        if !args.no_stream {
            // Once, until it changes.
            missing.iter().filter(|why| !told.contains(*why)).for_each(|why| out.warn(why));
            told.clone_from(&missing);
        }
        // A share of the processors needs two samples.
        if args.no_stream && before.is_none() && !sample.is_empty() {
            before = Some(sample);
            continue;
        }
        let list = list(&sample, before.as_deref().unwrap_or(&[]), &names, args.no_trunc);
        if redraws {
            out.bytes(b"\x1b[H\x1b[2J")?;
        }
        out.list(&list)?;
        if args.no_stream {
            return all_done(&missing);
        }
        before = Some(sample);
    }
    Ok(())
}

/// Names of tasks, asked for when one is new.
#[derive(Default)]
struct Names(BTreeMap<TaskId, String>);

impl Names {
    async fn learn(&mut self, sample: &[TaskStats], client: &Client) -> anyhow::Result<()> {
        if sample.iter().all(|stats| self.0.contains_key(&stats.task)) {
            return Ok(());
        }
        let tasks = client.tasks(&TaskFilter::default(), Consistency::Stale).await?.value;
        self.0 = tasks.iter().map(|task| (task.id, task.name())).collect();
        for stats in sample {
            self.0.entry(stats.task).or_insert_with(|| "--".to_owned());
        }
        Ok(())
    }

    fn of(&self, task: TaskId) -> &str {
        self.0.get(&task).map_or("--", String::as_str)
    }
}

fn list(sample: &[TaskStats], before: &[TaskStats], names: &Names, no_trunc: bool) -> List {
    let mut sample: Vec<&TaskStats> = sample.iter().collect();
    sample.sort_by(|a, b| natural_cmp(names.of(a.task), names.of(b.task)));
    let row = |stats: &&TaskStats| {
        let earlier = before.iter().find(|it| it.task == stats.task);
        let id = stats.task.as_str();
        let it = &stats.counts;
        Row::new([
            ("ID", if no_trunc { id } else { short_id(id) }.to_owned()),
            ("Container", id.to_owned()),
            ("Name", names.of(stats.task).to_owned()),
            ("CPUPerc", format!("{:.2}%", earlier.map_or(0.0, |earlier| cpu(earlier, stats)))),
            (
                "MemUsage",
                format!(
                    "{} / {}",
                    binary_size(it.memory_bytes),
                    binary_size(it.memory_limit_bytes)
                ),
            ),
            ("MemPerc", format!("{:.2}%", share(it.memory_bytes, it.memory_limit_bytes) * 100.0)),
            ("NetIO", sizes(it.network_received_bytes, it.network_sent_bytes)),
            ("BlockIO", sizes(it.block_read_bytes, it.block_written_bytes)),
            ("PIDs", it.pids.to_string()),
        ])
    };
    List::new(&KIND, sample.iter().map(row).collect())
}

fn sizes(inward: u64, outward: u64) -> String {
    format!("{} / {}", decimal_size(inward), decimal_size(outward))
}

/// In percent of one processor.
fn cpu(earlier: &TaskStats, now: &TaskStats) -> f64 {
    let used = now.counts.cpu_ns.saturating_sub(earlier.counts.cpu_ns);
    let all = now.counts.system_cpu_ns.saturating_sub(earlier.counts.system_cpu_ns);
    share(used, all) * f64::from(now.counts.online_cpus) * 100.0
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use swarm_types::IdSource;

    use super::*;
    use crate::output::tests::shown;

    #[test]
    fn shares_need_two_samples() {
        let task: TaskId = IdSource::seeded(1).draw();
        let sample = |cpu_ns, system_cpu_ns| {
            let mut stats = TaskStats { task, counts: Default::default() };
            stats.counts.cpu_ns = cpu_ns;
            stats.counts.system_cpu_ns = system_cpu_ns;
            stats.counts.online_cpus = 2;
            stats.counts.memory_bytes = 1 << 20;
            stats.counts.memory_limit_bytes = 4 << 20;
            stats.counts.pids = 3;
            stats
        };
        let names = Names([(task, "web.1.x".to_owned())].into());
        let list = list(&[sample(600, 1400)], &[sample(100, 400)], &names, false);

        let expected = "web.1.x 100.00% 1MiB / 4MiB 25.00% 0B / 0B 3\n";
        let format = "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.MemPerc}} {{.NetIO}} {{.PIDs}}";
        assert_eq!(shown(&list, format), expected);
        assert!(shown(&list, "table").starts_with("CONTAINER ID   NAME      CPU %"));
    }
}
