//! What users do with tasks: find one, read its output, run a command beside it, see its use.

use swarm_proto::field;
use swarm_proto::v1;
use swarm_proto::v1::tasks_client::TasksClient;
use swarm_types::{Node, Task, TaskId, TaskState, Timestamp};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::resolve::pick;
use crate::services::TaskFilter;
use crate::{CALL_DEADLINE, Client, ClientError, Consistency};

/// Messages to a command that wait for the daemon.
const IN_FLIGHT: usize = 16;

/// Which lines are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogQuery {
    /// Of these tasks.
    pub tasks: Vec<TaskId>,
    /// Go on with lines that are written later, until the tasks have ended.
    pub follow: bool,
    /// Last lines per task; `None` means all.
    pub tail: Option<u64>,
    /// Not before that time.
    pub since: Option<Timestamp>,
    /// Before that time.
    pub until: Option<Timestamp>,
}

/// A part of the logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogPart {
    /// A line, or a part of one.
    Line {
        /// Whose.
        task: TaskId,
        /// When it was written, on the node's clock.
        at: Timestamp,
        /// Written to the error output.
        stderr: bool,
        /// Without the newline.
        data: Vec<u8>,
        /// The next one of the stream goes on with this line.
        partial: bool,
    },
    /// A task could not be read, or not to its end; the others go on.
    Failure {
        /// Whose.
        task: TaskId,
        /// For people.
        why: String,
    },
}

/// Lines as they come. Drop it to stop.
#[derive(Debug)]
pub struct Logs {
    stream: Streaming<v1::LogsResponse>,
    target: String,
}

/// A terminal's size in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters per line.
    pub columns: u16,
}

/// A command to run beside a task's process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExecCommand {
    /// Beside whose.
    pub task: TaskId,
    /// Program and arguments.
    pub args: Vec<String>,
    /// `KEY=VALUE`, on top of the container's.
    pub env: Vec<String>,
    /// Working directory; empty means the container's.
    pub dir: String,
    /// User; empty means the container's.
    pub user: String,
    /// Gives it a terminal, of that size when it is known.
    pub tty: bool,
    /// Size of the terminal.
    pub size: Option<TerminalSize>,
    /// Gives it input.
    pub stdin: bool,
    /// Gives it all capabilities.
    pub privileged: bool,
}

/// What goes to a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExecInput {
    /// Bytes for its input.
    Data(Vec<u8>),
    /// Its terminal has another size.
    Resize(TerminalSize),
    /// It runs on without a caller: the stream ends without an exit, and nothing more is sent.
    Detach,
}

/// What comes from a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExecOutput {
    /// It runs.
    Started,
    /// Bytes of its output, or of its terminal.
    Stdout(Vec<u8>),
    /// Bytes of its error output.
    Stderr(Vec<u8>),
    /// It ended; 126 and 127 when it could not be run, `why` then says why.
    Exit {
        /// Its exit code.
        code: u32,
        /// For people; empty when it ran.
        why: String,
    },
}

/// A command that runs. Dropping it ends the command.
#[derive(Debug)]
pub struct Exec {
    stream: Streaming<v1::ExecResponse>,
    target: String,
}

/// The way to a command's input; closes it when dropped.
#[derive(Debug)]
pub struct ExecSender(mpsc::Sender<v1::ExecRequest>);

/// A task's use of its node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskStats {
    /// Whose.
    pub task: TaskId,
    /// The rest, as the kernel counts it.
    pub counts: v1::TaskStats,
}

/// The use of all tasks that were asked for, at one time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StatsSample {
    /// Of those that run.
    pub tasks: Vec<TaskStats>,
    /// Nodes whose tasks are missing, and why, for people.
    pub missing: Vec<String>,
}

/// Samples of tasks' use. Drop it to stop.
#[derive(Debug)]
pub struct StatsStream {
    stream: Streaming<v1::StatsResponse>,
    target: String,
}

impl Client {
    fn task_service(&self) -> TasksClient<Channel> {
        TasksClient::new(self.channel.clone()).max_decoding_message_size(crate::MAX_ANSWER)
    }

    /// The task of that id, unique start of one, `SERVICE.SLOT` or `SERVICE.NODE`; of several
    /// of a slot the newest that runs, else the newest.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] and [`ClientError::Ambiguous`], beside those of [`Self::tasks`].
    pub async fn task(&self, wanted: &str, consistency: Consistency) -> Result<Task, ClientError> {
        self.found_task(wanted, consistency, runs).await
    }

    /// The same, but of several of a slot the newest that has not ended: where it is to run, or
    /// why it does not, is still open.
    ///
    /// # Errors
    ///
    /// As [`Self::task`].
    pub async fn newest_task(
        &self,
        wanted: &str,
        consistency: Consistency,
    ) -> Result<Task, ClientError> {
        self.found_task(wanted, consistency, lives).await
    }

    async fn found_task(
        &self,
        wanted: &str,
        consistency: Consistency,
        comes_first: fn(&Task) -> bool,
    ) -> Result<Task, ClientError> {
        let tasks = self.tasks(&TaskFilter::default(), consistency).await?.value;
        let nodes = self.nodes(consistency).await?.value;
        find(wanted, &tasks, &nodes, comes_first).cloned()
    }

    /// What tasks wrote: of every node, asked at a manager; a worker's own.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] by a worker for a task of another node.
    pub async fn logs(&self, query: &LogQuery) -> Result<Logs, ClientError> {
        let request = v1::LogsRequest {
            tasks: query.tasks.iter().map(|id| field::put_id(*id)).collect(),
            stdout: true,
            stderr: true,
            follow: query.follow,
            tail: query.tail,
            since_ns: query.since.map(|at| at.0),
            until_ns: query.until.map(|at| at.0),
            after: Vec::new(),
        };
        let mut service = self.task_service();
        let stream = self.call_once(service.logs(request), CALL_DEADLINE).await?;
        Ok(Logs { stream, target: self.target.clone() })
    }

    /// Runs a command beside a task: of any node, asked at a manager; a worker's own.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the task does not run, its node does not answer, or by a
    /// worker for a task of another node.
    pub async fn exec(&self, command: ExecCommand) -> Result<(Exec, ExecSender), ClientError> {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        let start = v1::ExecStart {
            task: field::put_id(command.task),
            args: command.args,
            env: command.env,
            dir: command.dir,
            user: command.user,
            tty: command.tty,
            stdin: command.stdin,
            privileged: command.privileged,
            size: command.size.map(size),
        };
        let part = Some(v1::exec_request::Part::Start(start));
        // The channel is empty, so there is room.
        let _ = sender.try_send(v1::ExecRequest { part });
        let mut service = self.task_service();
        let call = service.exec(ReceiverStream::new(receiver));
        let stream = self.call_once(call, CALL_DEADLINE).await?;
        Ok((Exec { stream, target: self.target.clone() }, ExecSender(sender)))
    }

    /// The use of tasks, once or every second: of every node, asked at a manager; a worker's own.
    /// No task means all that run on the asked node.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] by a worker for a task of another node.
    pub async fn stats(&self, tasks: &[TaskId], often: Often) -> Result<StatsStream, ClientError> {
        let tasks = tasks.iter().map(|id| field::put_id(*id)).collect();
        let request = v1::StatsRequest { tasks, follow: often == Often::EachSecond };
        let mut service = self.task_service();
        let stream = self.call_once(service.stats(request), CALL_DEADLINE).await?;
        Ok(StatsStream { stream, target: self.target.clone() })
    }
}

/// How many samples are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Often {
    /// One.
    Once,
    /// One each second, until the stream is dropped.
    EachSecond,
}

impl Logs {
    /// The next parts; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`ClientError::Interrupted`] or [`ClientError::Refused`] when the daemon stopped.
    pub async fn next(&mut self) -> Result<Option<Vec<LogPart>>, ClientError> {
        use v1::logs_response::What;
        let message = self.stream.message().await;
        let message = message.map_err(|status| ClientError::of(&self.target, status))?;
        let Some(message) = message else { return Ok(None) };
        let unreadable = |source| ClientError::Unreadable { target: self.target.clone(), source };
        Ok(Some(match message.what {
            None | Some(What::Ended(_)) => Vec::new(),
            Some(What::Failure(failure)) => {
                let task = field::id(&failure.task, "task").map_err(unreadable)?;
                vec![LogPart::Failure { task, why: failure.why }]
            }
            Some(What::Lines(lines)) => {
                let task = field::id(&lines.task, "task").map_err(unreadable)?;
                lines.lines.into_iter().map(|line| log_line(task, line)).collect()
            }
        }))
    }
}

fn log_line(task: TaskId, line: v1::LogLine) -> LogPart {
    let stderr = line.stream() == v1::LogStream::Stderr;
    let at = Timestamp(line.at_ns);
    LogPart::Line { task, at, stderr, data: line.data, partial: line.partial }
}

impl Exec {
    /// The next output; `None` when the stream ended, which it does after the exit.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the task does not run or its node is lost,
    /// [`ClientError::Interrupted`] when the daemon stopped.
    pub async fn next(&mut self) -> Result<Option<ExecOutput>, ClientError> {
        use v1::exec_response::Part;
        loop {
            let message = self.stream.message().await;
            let message = message.map_err(|status| ClientError::of(&self.target, status))?;
            let Some(message) = message else { return Ok(None) };
            return Ok(Some(match message.part {
                None | Some(Part::Done(_)) => continue,
                Some(Part::Started(_)) => ExecOutput::Started,
                Some(Part::Stdout(bytes)) => ExecOutput::Stdout(bytes),
                Some(Part::Stderr(bytes)) => ExecOutput::Stderr(bytes),
                Some(Part::Exit(exit)) => ExecOutput::Exit { code: exit.code, why: exit.why },
            }));
        }
    }
}

impl ExecSender {
    /// Waits until [`Self::send`] would not wait; false when the command takes no more. Safe to drop
    /// and call again, so that nothing is lost between waiting for this and for something else.
    pub async fn has_room(&self) -> bool {
        self.0.reserve().await.is_ok()
    }

    /// Sends to the command; false when it takes no more.
    pub async fn send(&self, input: ExecInput) -> bool {
        let part = match input {
            ExecInput::Data(bytes) => v1::exec_request::Part::Input(bytes),
            ExecInput::Resize(to) => v1::exec_request::Part::Resize(size(to)),
            ExecInput::Detach => v1::exec_request::Part::Detach(v1::ExecDetach {}),
        };
        self.0.send(v1::ExecRequest { part: Some(part) }).await.is_ok()
    }
}

impl StatsStream {
    /// The next sample of all tasks; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`ClientError::Interrupted`] or [`ClientError::Refused`] when the daemon stopped.
    pub async fn next(&mut self) -> Result<Option<StatsSample>, ClientError> {
        let message = self.stream.message().await;
        let message = message.map_err(|status| ClientError::of(&self.target, status))?;
        let Some(message) = message else { return Ok(None) };
        let read = |counts: v1::TaskStats| {
            let task = field::id(&counts.task, "task");
            task.map(|task| TaskStats { task, counts })
        };
        let tasks: Result<_, _> = message.tasks.into_iter().map(read).collect();
        let unreadable = |source| ClientError::Unreadable { target: self.target.clone(), source };
        Ok(Some(StatsSample { tasks: tasks.map_err(unreadable)?, missing: message.missing }))
    }
}

fn size(size: TerminalSize) -> v1::TerminalSize {
    v1::TerminalSize { rows: size.rows.into(), columns: size.columns.into() }
}

fn runs(task: &Task) -> bool {
    task.status.state == TaskState::Running
}

fn lives(task: &Task) -> bool {
    !task.status.state.is_terminal()
}

/// Of several of a slot the newest of those that come first, else the newest.
fn find<'a>(
    wanted: &str,
    tasks: &'a [Task],
    nodes: &[Node],
    comes_first: fn(&Task) -> bool,
) -> Result<&'a Task, ClientError> {
    if let Some(exact) = tasks.iter().find(|task| task.id.as_str() == wanted) {
        return Ok(exact);
    }
    let named = tasks.iter().filter(|task| is_named(task, wanted, nodes));
    let rank = |task: &&Task| (comes_first(task), task.meta.created_at);
    match named.max_by_key(rank) {
        Some(task) => Ok(task),
        None => pick("task", wanted, tasks, |task| task.id.as_str(), |_| ""),
    }
}

fn is_named(task: &Task, wanted: &str, nodes: &[Node]) -> bool {
    let service = &task.template.service_annotations.name;
    let Some(place) = wanted.strip_prefix(service.as_str()).and_then(|it| it.strip_prefix('.'))
    else {
        return false;
    };
    let on = |node: &Node| {
        let names = [&node.spec.annotations.name, &node.description.hostname];
        Some(node.id) == task.node
            && (node.id.as_str() == place
                || names.iter().any(|name| !name.is_empty() && name.eq_ignore_ascii_case(place)))
    };
    (!task.template.global && place.parse() == Ok(task.slot)) || nodes.iter().any(on)
}

#[cfg(test)]
mod tests;
