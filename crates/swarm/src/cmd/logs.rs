//! `swarm logs [OPTIONS] TASK` and, with the same options, `swarm service logs`.
//!
//! Lines of the containers' output go to stdout, of their error output to stderr. With
//! `--follow`, tasks that start later are followed too, and a task that cannot be read is told at
//! once; it ends when the service was removed and all its tasks have ended.

mod format;
mod reader;

use swarm_client::{Client, ClientError, Consistency, LogPart, LogQuery, TaskFilter};
use swarm_types::{ServiceId, Task, Timestamp};

use crate::cmd::task;
use crate::output::{Exit, Printer};
use crate::view::moment::{self, Moment};
use format::Lines;
use reader::Reader;

#[derive(clap::Args, Debug)]
pub(crate) struct TaskLogs {
    #[command(flatten)]
    pub(crate) options: Options,
    /// Task by id, start of an id, SERVICE.SLOT or SERVICE.NODE
    task: String,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Go on with lines that are written later
    #[arg(long, short)]
    follow: bool,
    /// Lines written since then: a duration such as 10m, or a date
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    since: Option<Moment>,
    /// Lines written before then
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    until: Option<Moment>,
    /// Last lines of each task, or all
    #[arg(long, short = 'n', value_name = "N|all", value_parser = tail, allow_negative_numbers = true)]
    tail: Option<Tail>,
    #[command(flatten)]
    pub(crate) look: Look,
}

/// What stands before a line.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag")]
pub(crate) struct Look {
    /// Show when each line was written
    #[arg(long, short)]
    timestamps: bool,
    /// Show the lines alone
    #[arg(long)]
    raw: bool,
    /// Leave the tasks' ids out
    #[arg(long)]
    no_task_ids: bool,
    /// Show ids instead of names
    #[arg(long)]
    no_resolve: bool,
    /// Do not truncate ids
    #[arg(long)]
    no_trunc: bool,
    /// Accepted; there are no details beside what is shown
    #[arg(long)]
    details: bool,
}

/// `None` means all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Tail(Option<u64>);

fn tail(text: &str) -> Result<Tail, String> {
    match text.parse::<i64>() {
        _ if text == "all" => Ok(Tail(None)),
        Ok(lines) => Ok(Tail(u64::try_from(lines).ok())),
        Err(_) => Err("expected a number of lines, or all".to_owned()),
    }
}

pub(crate) async fn run(args: TaskLogs, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let task = task::find(&args.task, "swarm service logs", client).await?;
    show(&args.options, Source::Task(Box::new(task)), client, out).await
}

/// Whose lines are shown.
pub(crate) enum Source {
    Task(Box<Task>),
    Service(ServiceId),
}

impl Source {
    /// Those that may have written something.
    async fn tasks(&self, client: &Client, consistency: Consistency) -> anyhow::Result<Vec<Task>> {
        let services = match self {
            Self::Task(task) if has_container(task) => return Ok(vec![Task::clone(task)]),
            Self::Task(task) => task.service().into_iter().collect(),
            Self::Service(id) => vec![*id],
        };
        let filter = TaskFilter { services, ..TaskFilter::default() };
        let mut tasks = client.tasks(&filter, consistency).await?.value;
        if let Self::Task(task) = self {
            tasks.retain(|it| it.id == task.id);
            let task = tasks.first().unwrap_or(task);
            anyhow::ensure!(has_container(task) || !task.status.state.is_terminal(), silent(task));
        }
        tasks.retain(has_container);
        Ok(tasks)
    }

    /// Whether it was removed, as this replica knows.
    async fn is_gone(&self, client: &Client) -> anyhow::Result<bool> {
        let removed = match self {
            Self::Service(id) => client.service(id.as_str(), Consistency::Stale).await.map(drop),
            Self::Task(task) => client.task(task.id.as_str(), Consistency::Stale).await.map(drop),
        };
        match removed {
            Ok(()) => Ok(false),
            Err(ClientError::NotFound { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

/// One that never had a container never wrote anything.
fn has_container(task: &Task) -> bool {
    task.status.container.is_some()
}

fn silent(task: &Task) -> String {
    let standing = task::standing(task, Timestamp::now());
    format!("task {} has written nothing: {standing}", task::named(task))
}

/// Prints the lines until they end, or the user ends it.
pub(crate) async fn show(
    options: &Options,
    source: Source,
    client: &Client,
    out: &mut Printer,
) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let query = LogQuery {
        tasks: Vec::new(),
        follow: options.follow,
        tail: options.tail.and_then(|tail| tail.0),
        since: options.since.map(|since| since.at(now)),
        until: options.until.map(|until| until.at(now)),
    };
    if let Source::Task(task) = &source {
        anyhow::ensure!(options.follow || has_container(task), silent(task));
    }
    let nodes = client.nodes(Consistency::Linearizable).await?.value;
    let tasks = source.tasks(client, Consistency::Linearizable).await?;
    let has_terminal = |task: &Task| task.spec().container().is_some_and(|it| it.tty);
    anyhow::ensure!(
        options.look.raw || !tasks.iter().any(has_terminal),
        "a service with a terminal has no lines to label: pass --raw"
    );
    let mut lines = Lines::new(options.look, &nodes);
    let mut reader = Reader::new(client.clone(), query);
    lines.learn(&tasks);
    reader.read(&tasks);
    let mut failures = Vec::new();
    while let Some(part) = reader.next(&source).await? {
        match part {
            reader::Event::Tasks(tasks) => {
                if !lines.know_the_nodes_of(&tasks) {
                    lines.learn_nodes(&client.nodes(Consistency::Stale).await?.value);
                }
                lines.learn(&tasks);
                reader.read(&tasks);
            }
            reader::Event::Part(LogPart::Failure { task, why }) => {
                let failure = format!("logs of task {}: {why}", lines.label_of(task));
                if options.follow {
                    out.warn(&failure);
                }
                failures.push(failure);
            }
            reader::Event::Part(LogPart::Line { task, at, stderr, data, partial }) => {
                if let Some(line) = lines.line(task, at, stderr, &data, partial) {
                    if stderr { out.error_bytes(&line)? } else { out.bytes(&line)? }
                }
            }
        }
    }
    if options.follow && !failures.is_empty() {
        return Err(Exit { code: 1, why: String::new() }.into());
    }
    crate::cmd::all_done(&failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_numbers_or_all() {
        assert_eq!(tail("all"), Ok(Tail(None)));
        assert_eq!(tail("5"), Ok(Tail(Some(5))));
        assert_eq!(tail("-1"), Ok(Tail(None)));
        assert!(tail("many").is_err());
    }
}
