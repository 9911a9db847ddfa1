//! `Exec`: a command beside a task's process, its streams over the call.
//!
//! Three flows: requests to the command, its output to the caller, with word of what was carried
//! out where that is asked for, and its end. The end of the command ends all of them; so does dropping this, which is how a cancelled call ends it. Only a
//! caller that says so leaves it running.

use std::time::Duration;

use swarm_proto::v1;
use swarm_runtime::{
    Error, Exec, ExecConfig, ExecControl, ExecEvent, ExecInput, Rights, Runtime, Signal, Stdin,
    Terminal, TerminalSize,
};
use swarm_types::TaskId;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::{Status, Streaming};
use v1::exec_request::Part as Asked;
use v1::exec_response::Part as Told;

use super::{Callers, Sender, refused};

/// How long the first message may take to come.
const START: Duration = Duration::from_secs(10);

/// The first message.
pub(super) async fn start(
    requests: &mut Streaming<v1::ExecRequest>,
) -> Result<v1::ExecStart, Status> {
    let first = timeout(START, requests.message()).await;
    let first = first.map_err(|_| Status::deadline_exceeded("no start came"))??;
    match first.and_then(|request| request.part) {
        Some(Asked::Start(start)) => Ok(start),
        _ => Err(Status::invalid_argument("a command begins with start")),
    }
}

pub(super) fn config(start: v1::ExecStart) -> ExecConfig {
    let size = start.size.map(size);
    ExecConfig {
        args: start.args,
        env: start.env,
        dir: start.dir,
        user: start.user,
        terminal: if start.tty { Terminal::Of(size) } else { Terminal::None },
        stdin: if start.stdin { Stdin::Piped } else { Stdin::Empty },
        rights: if start.privileged { Rights::All } else { Rights::Container },
    }
}

/// Runs the command to its end, or until the caller leaves it, which returns it.
pub(super) async fn run(
    runtime: &Runtime,
    task: TaskId,
    config: &ExecConfig,
    requests: Streaming<v1::ExecRequest>,
    sender: Sender<v1::ExecResponse>,
    callers: Callers,
) -> Result<Option<Exec>, Status> {
    let mut exec = match runtime.exec(task.as_str(), config).await {
        Err(Error::NotExecuted { code, why, .. }) => {
            send(&sender, Told::Exit(v1::ExecExit { code, why })).await;
            return Ok(None);
        }
        started => started.map_err(|error| refused(&error))?,
    };
    send(&sender, Told::Started(v1::ExecStarted { pid: exec.pid() })).await;
    let (done, count) = watch::channel(0);
    let count = (callers == Callers::Managers).then_some(count);
    let asked = obey(requests, exec.take_input(), exec.control(), done);
    tokio::select! {
        told = tell(&mut exec, count, &sender) => told.map(|()| None),
        left = asked => left.map(|()| Some(exec)),
    }
}

/// Lets a command that was left run to its end: what it writes must not hold it up.
pub(super) async fn drain(mut exec: Exec) {
    loop {
        match exec.next().await {
            Ok(ExecEvent::Stdout(_) | ExecEvent::Stderr(_)) => {}
            Ok(ExecEvent::Exit(code)) => {
                return tracing::debug!(?exec, code, "a left command ended");
            }
            Err(error) => return tracing::warn!(?exec, %error, "a left command is lost"),
        }
    }
}

/// Passes on what the command writes and how many requests were carried out, until it has ended.
async fn tell(
    exec: &mut Exec,
    mut done: Option<watch::Receiver<u64>>,
    sender: &Sender<v1::ExecResponse>,
) -> Result<(), Status> {
    loop {
        let event = tokio::select! {
            event = exec.next() => event.map_err(|error| refused(&error))?,
            Some(done) = grown(&mut done) => {
                send(sender, Told::Done(done)).await;
                continue;
            }
        };
        match event {
            ExecEvent::Stdout(bytes) => send(sender, Told::Stdout(bytes.into())).await,
            ExecEvent::Stderr(bytes) => send(sender, Told::Stderr(bytes.into())).await,
            ExecEvent::Exit(code) => {
                send(sender, Told::Exit(v1::ExecExit { code, why: String::new() })).await;
                return Ok(());
            }
        }
    }
}

/// The count once it has grown; `None` when nobody counts.
async fn grown(done: &mut Option<watch::Receiver<u64>>) -> Option<u64> {
    let done = done.as_mut()?;
    done.changed().await.ok()?;
    Some(*done.borrow_and_update())
}

/// Passes on what the caller asks. Returns only when it leaves, or when that cannot go on.
async fn obey(
    mut requests: Streaming<v1::ExecRequest>,
    mut input: Option<ExecInput>,
    control: ExecControl,
    done: watch::Sender<u64>,
) -> Result<(), Status> {
    loop {
        let asked = match requests.message().await {
            Ok(Some(request)) => request.part,
            Ok(None) => break,
            // The caller is gone.
            Err(broken) => return Err(broken),
        };
        let obeyed = match (asked, &mut input) {
            (Some(Asked::Input(bytes)), Some(input)) => input.write(&bytes).await,
            (Some(Asked::Input(_)), None) => {
                return Err(Status::invalid_argument("input for a command without stdin"));
            }
            (Some(Asked::Resize(asked)), _) => control.resize(size(asked)).await,
            (Some(Asked::Signal(number)), _) => match number.to_string().parse::<Signal>() {
                Ok(signal) => control.signal(signal).await,
                Err(unknown) => return Err(Status::invalid_argument(unknown.to_string())),
            },
            (Some(Asked::Detach(_)), _) => return Ok(()),
            (Some(Asked::Start(_)) | None, _) => {
                return Err(Status::invalid_argument("a command is started once"));
            }
        };
        if let Err(error) = obeyed {
            // A command that ended meanwhile takes nothing, and tells its end.
            tracing::debug!(task = ?control, %error, "passed over");
        }
        done.send_modify(|done| *done += 1);
    }
    if let Some(input) = input
        && let Err(error) = input.close().await
    {
        return Err(refused(&error));
    }
    std::future::pending().await
}

async fn send(sender: &Sender<v1::ExecResponse>, part: Told) {
    let _ = sender.send(Ok(v1::ExecResponse { part: Some(part) })).await;
}

fn size(size: v1::TerminalSize) -> TerminalSize {
    TerminalSize { rows: size.rows, columns: size.columns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_says_what_the_command_gets() {
        let size = Some(v1::TerminalSize { rows: 2, columns: 3 });
        let start = v1::ExecStart { tty: true, stdin: true, size, ..Default::default() };

        let plain = config(v1::ExecStart::default());
        let full = config(v1::ExecStart { privileged: true, ..start });

        assert_eq!(plain, ExecConfig::default());
        assert_eq!(full.terminal, Terminal::Of(Some(TerminalSize { rows: 2, columns: 3 })));
        assert_eq!((full.stdin, full.rights), (Stdin::Piped, Rights::All));
    }
}
