//! `swarm exec [-i] [-t] [-e KEY=VALUE] [-u USER] [-w DIR] TASK COMMAND [ARG...]`
//!
//! Ends with the command's exit code, 126 when it could not be run and 127 when there is none
//! of that name. The terminal is as it was again on every way out.

mod detach;

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use swarm_client::{Client, ExecCommand, ExecInput, ExecOutput, ExecSender, TerminalSize};
use swarm_types::{Task, TaskState, Timestamp};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cmd::task;
use crate::flags::grammar;
use crate::output::{Exit, Printer};
use crate::terminal;
use detach::{Detach, Keys};

/// How long the daemon may take to let a command run on alone.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of input per message.
const CHUNK: usize = 32 << 10;

#[derive(clap::Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag")]
pub(crate) struct Exec {
    /// Pass input to the command
    #[arg(long, short)]
    interactive: bool,
    /// Give the command a terminal
    #[arg(long, short)]
    tty: bool,
    /// Environment variable
    #[arg(long, short, value_name = "KEY[=VALUE]", value_parser = grammar::variable)]
    env: Vec<String>,
    /// User and group: names or numbers
    #[arg(long, short, default_value = "", hide_default_value = true, value_name = "USER[:GROUP]")]
    user: String,
    /// Working directory
    #[arg(long, short, default_value = "", hide_default_value = true)]
    workdir: String,
    /// Give the command all capabilities
    #[arg(long)]
    privileged: bool,
    /// Keys that leave the command running and return
    #[arg(long, default_value = "ctrl-p,ctrl-q", value_name = "KEYS", value_parser = detach::keys)]
    detach_keys: Keys,
    /// Run in the background
    #[arg(long, short)]
    detach: bool,
    /// Task by id, start of an id, SERVICE.SLOT or SERVICE.NODE
    task: String,
    /// Command and arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    args: Vec<String>,
}

pub(crate) async fn run(args: Exec, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let has_terminal = std::io::stdin().is_terminal();
    anyhow::ensure!(
        !(args.tty && args.interactive) || has_terminal,
        "the input device is not a TTY: leave --tty out"
    );
    let task = task::find(&args.task, "swarm service ps", client).await?;
    can_take(&task)?;
    let command = ExecCommand {
        task: task.id,
        args: args.args,
        env: args.env.into_iter().map(grammar::from_environment).collect(),
        dir: args.workdir,
        user: args.user,
        tty: args.tty,
        size: terminal::size().filter(|_| args.tty),
        stdin: args.interactive && !args.detach,
        privileged: args.privileged,
    };
    let about = || format!("run a command in task {}", task::named(&task));
    let (mut output, sender) = client.exec(command).await.with_context(about)?;
    if args.detach {
        return finish(leave(&mut output, &sender).await?);
    }
    // Declared last of what may fail, so that a message about it is not printed in raw mode.
    let raw = if args.tty && args.interactive { Some(terminal::Raw::enter()?) } else { None };
    let mut input = Input::new(sender, args.interactive, args.tty, &args.detach_keys)?;
    let ended = loop {
        tokio::select! {
            part = output.next() => match part {
                Ok(Some(ExecOutput::Started)) => {}
                Ok(Some(ExecOutput::Stdout(bytes))) => out.bytes(&bytes)?,
                Ok(Some(ExecOutput::Stderr(bytes))) => out.error_bytes(&bytes)?,
                Ok(Some(ExecOutput::Exit { code, why })) => break Ok(End::Exit(code, why)),
                Ok(None) => break Ok(End::Lost),
                Err(error) => break Err(error).with_context(about),
            },
            end = input.pump() => if let Some(end) = end { break Ok(end) },
        }
    };
    let ended = match (ended, &input.sender) {
        (Ok(End::Detached), Some(sender)) => leave(&mut output, sender).await,
        (ended, _) => ended,
    };
    drop(raw);
    finish(ended?)
}

/// Refuses a task that has no process. One that is starting has one while its health is awaited.
fn can_take(task: &Task) -> anyhow::Result<()> {
    let state = task.status.state;
    anyhow::ensure!(
        state >= TaskState::Starting && !state.is_terminal(),
        "task {} is not running: {}",
        task::named(task),
        task::standing(task, Timestamp::now())
    );
    Ok(())
}

/// Leaves the command running, and waits until the daemon has taken it over.
async fn leave(output: &mut swarm_client::Exec, sender: &ExecSender) -> anyhow::Result<End> {
    let left = async {
        sender.send(ExecInput::Detach).await;
        loop {
            match output.next().await? {
                Some(ExecOutput::Exit { code, why }) => return Ok(End::Exit(code, why)),
                Some(_) => {}
                None => return Ok(End::Detached),
            }
        }
    };
    let late = "the command does not take its input and could not be left: it is ended";
    tokio::time::timeout(PATIENCE, left).await.unwrap_or_else(|_| Err(anyhow::anyhow!(late)))
}

/// How it ended.
enum End {
    /// With a code and, if it did not run, the reason.
    Exit(u32, String),
    /// The command runs on without us.
    Detached,
    /// The stream ended before the command.
    Lost,
    /// This process was told to stop, by that signal.
    Signal(u8),
}

fn finish(end: End) -> anyhow::Result<()> {
    let (code, why) = match end {
        End::Exit(0, _) => return Ok(()),
        End::Exit(code, why) => (u8::try_from(code & 0xff).unwrap_or(u8::MAX), why),
        End::Detached => return Ok(()),
        End::Lost => anyhow::bail!("the connection ended before the command did"),
        End::Signal(number) => (128 + number, String::new()),
    };
    Err(Exit { code, why }.into())
}

/// What the user does: keys, the window's size, signals.
struct Input {
    /// `None` once the input has ended, which ends the command's.
    sender: Option<ExecSender>,
    stdin: tokio::io::Stdin,
    reads: bool,
    detach: Option<Detach>,
    resized: Signal,
    ended: [(Signal, u8); 2],
    buffer: Vec<u8>,
    /// What the command has not taken yet: nothing more is read meanwhile.
    waits: VecDeque<ExecInput>,
}

impl Input {
    fn new(sender: ExecSender, reads: bool, tty: bool, keys: &Keys) -> std::io::Result<Self> {
        Ok(Self {
            sender: Some(sender).filter(|_| reads || tty),
            stdin: tokio::io::stdin(),
            reads,
            detach: (tty && reads).then(|| Detach::new(keys.clone())),
            resized: signal(SignalKind::window_change())?,
            ended: [(signal(SignalKind::terminate())?, 15), (signal(SignalKind::hangup())?, 1)],
            buffer: vec![0; CHUNK],
            waits: VecDeque::new(),
        })
    }

    /// Passes one thing on; an end when there is nothing more to do. Safe to drop and call again:
    /// what was read waits here, and the user may leave meanwhile.
    async fn pump(&mut self) -> Option<End> {
        let [(terminate, fifteen), (hangup, one)] = &mut self.ended;
        let (sender, is_empty) = (&self.sender, self.waits.is_empty());
        let room = async {
            match sender {
                Some(sender) => sender.has_room().await,
                None => false,
            }
        };
        tokio::select! {
            has_room = room, if !is_empty => {
                let next = self.waits.pop_front();
                if let (true, Some(sender), Some(next)) = (has_room, &self.sender, next) {
                    // It takes no more once it has ended, which its output tells.
                    let _ = sender.send(next).await;
                }
                None
            }
            read = self.stdin.read(&mut self.buffer), if self.reads && is_empty => {
                let count = read.unwrap_or(0);
                if count == 0 {
                    self.reads = false;
                    self.sender = None;
                    return None;
                }
                let bytes = self.buffer[..count].to_vec();
                let (bytes, detached) = match &mut self.detach {
                    Some(detach) => detach.feed(&bytes),
                    None => (bytes, false),
                };
                if detached {
                    return Some(End::Detached);
                }
                self.waits.push_back(ExecInput::Data(bytes));
                None
            }
            _ = self.resized.recv() => {
                if let Some(size) = terminal::size() {
                    self.resize(size);
                }
                None
            }
            _ = terminate.recv() => Some(End::Signal(*fifteen)),
            _ = hangup.recv() => Some(End::Signal(*one)),
        }
    }

    /// Only the last size matters.
    fn resize(&mut self, size: TerminalSize) {
        self.waits.retain(|waits| !matches!(waits, ExecInput::Resize(_)));
        self.waits.push_back(ExecInput::Resize(size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixture;

    fn code(end: End) -> Option<u8> {
        finish(end).err().and_then(|error| error.downcast_ref::<Exit>().map(|exit| exit.code))
    }

    #[test]
    fn a_task_without_a_process_is_refused_by_name_state_and_reason() {
        let mut it = fixture::task(&fixture::service("web", 1), 1, 1);
        for (state, takes) in [
            (TaskState::Pending, false),
            (TaskState::Ready, false),
            (TaskState::Starting, true),
            (TaskState::Running, true),
            (TaskState::Complete, false),
            (TaskState::Failed, false),
        ] {
            it.status.state = state;
            it.status.err = "no suitable node".into();
            let refusal = can_take(&it).map_err(|error| error.to_string());
            assert_eq!(refusal.is_ok(), takes, "{state:?}");
            for part in ["web.1 (", "is not running", state.as_str(), "no suitable node"] {
                assert!(takes || refusal.as_ref().unwrap_err().contains(part), "{refusal:?}");
            }
        }
    }

    #[test]
    fn the_exit_code_is_the_commands() {
        assert_eq!(code(End::Exit(0, String::new())), None);
        assert_eq!(code(End::Exit(3, String::new())), Some(3));
        assert_eq!(code(End::Exit(127, "no such command".into())), Some(127));
        assert_eq!(code(End::Signal(15)), Some(143));
        assert_eq!(code(End::Detached), None);
        assert!(finish(End::Lost).is_err());
    }
}
