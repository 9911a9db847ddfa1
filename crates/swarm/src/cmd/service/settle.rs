//! Waiting until a service runs as it should, and showing how far it came.
//!
//! On a terminal the lines are redrawn in place, one per slot up to twenty; elsewhere a line is
//! printed whenever it changes.

use std::fmt::Write as _;
use std::io::IsTerminal;

use swarm_client::{Client, Progress, Settled, SlotKey, Verify};
use swarm_types::text::{ellipsis, short_id};
use swarm_types::{ServiceId, TaskState};

use crate::output::Printer;
use crate::terminal;

/// Most slots that get a line each.
const MOST_BARS: u64 = 20;
/// Longest error beside a slot.
const ERROR_WIDTH: usize = 75;
/// States on the way to RUNNING.
const STATES: usize = 9;
/// Least width of a terminal that has room for bars.
const BAR_TERMINAL: usize = 110;

/// How long a command waits, or whether it waits at all.
#[derive(clap::Args, Debug, Clone, Copy, Default)]
pub(crate) struct Wait {
    /// Return as soon as the managers have accepted the change
    #[arg(long, short, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, action = clap::ArgAction::Set)]
    detach: bool,
}

/// Waits until every task of the service runs, unless told not to. Ctrl-C stops the waiting
/// only; the change goes on.
pub(crate) async fn settled(
    wait: Wait,
    service: ServiceId,
    client: &Client,
    out: &mut Printer,
) -> anyhow::Result<()> {
    if wait.detach {
        return Ok(());
    }
    let mut screen = Screen::new();
    let waiting = client.wait_settled(service, |progress| screen.show(progress, out));
    let settled = tokio::select! {
        settled = waiting => settled?,
        _ = tokio::signal::ctrl_c() => {
            out.note("Operation continuing in background.");
            out.note(format_args!("Use `swarm service ps {service}` to check progress."));
            return Ok(());
        }
    };
    match settled {
        Settled::Converged => out.note(format_args!("verify: Service {service} converged")),
        Settled::RolledBack(message) => {
            out.note(format_args!("verify: Service {service} converged"));
            out.note(format_args!("rollback: {message}"));
        }
        Settled::UpdateCompleted => {}
        Settled::UpdatePaused(why) => anyhow::bail!("service update paused: {why}"),
        Settled::RollbackPaused(why) => anyhow::bail!("service rollback paused: {why}"),
    }
    Ok(())
}

/// What was shown last.
struct Screen {
    /// `None` when it is no terminal.
    width: Option<usize>,
    shown: Vec<String>,
}

impl Screen {
    fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let width = || terminal::size().map_or(80, |size| usize::from(size.columns));
        Self { width: is_terminal.then(width), shown: Vec::new() }
    }

    fn show(&mut self, progress: &Progress, out: &mut Printer) {
        let lines = match self.width {
            Some(width) => lines(progress, Some(width)),
            None => lines(progress, None),
        };
        if lines == self.shown {
            return;
        }
        match self.width {
            Some(_) if !self.shown.is_empty() => out.note(redrawn(self.shown.len(), &lines)),
            Some(_) => out.note(lines.join("\n")),
            None => {
                for line in lines.iter().filter(|line| !self.shown.contains(line)) {
                    out.note(line);
                }
            }
        }
        self.shown = lines;
    }
}

/// The lines in the place of those before, which are cleared first.
fn redrawn(before: usize, lines: &[String]) -> String {
    let mut text = format!("\x1b[{before}A\x1b[J");
    text.push_str(&lines.join("\n"));
    text
}

/// What a look has to show; bars only for a terminal of that width.
fn lines(progress: &Progress, width: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(message) = &progress.rolling_back {
        lines.push(format!("rollback: {message}"));
    }
    let prefix = if progress.rolling_back.is_some() { "rolling back update: " } else { "" };
    let is_global = progress.slots.iter().any(|slot| matches!(slot.slot, SlotKey::Node(_)));
    lines.push(if progress.wanted == 0 && is_global {
        "overall progress: waiting for new tasks".to_owned()
    } else {
        format!("{prefix}overall progress: {} out of {} tasks", progress.running, progress.wanted)
    });
    if progress.wanted <= MOST_BARS {
        for slot in &progress.slots {
            let name = match slot.slot {
                SlotKey::Number(number) => format!("{number}/{}", progress.wanted),
                SlotKey::Node(node) => short_id(node.as_str()).to_owned(),
            };
            if !slot.error.is_empty() && slot.state != TaskState::Running {
                let error = ellipsis(&slot.error.replace('\n', " "), ERROR_WIDTH);
                lines.push(format!("{name}: {error}"));
            } else if let Some(width) = width {
                lines.push(format!("{name}: {}", bar(slot.state, width)));
            }
        }
    }
    match progress.verify {
        Some(Verify::Waiting(seconds)) => lines
            .push(format!("verify: Waiting {seconds} seconds to verify that tasks are stable...")),
        Some(Verify::TaskFailed) => lines.push("verify: Detected task failure".to_owned()),
        None => {}
    }
    match width {
        Some(width) => lines.iter().map(|line| ellipsis(line, width)).collect(),
        None => lines,
    }
}

/// The state's word, and how far it is when there is room.
fn bar(state: TaskState, width: usize) -> String {
    const LENGTH: usize = 50;
    // The numbers of Docker's states; ALLOCATED is 2.
    let position = match state {
        TaskState::New => 1,
        TaskState::Pending => 3,
        TaskState::Assigned => 4,
        TaskState::Accepted => 5,
        TaskState::Preparing => 6,
        TaskState::Ready => 7,
        TaskState::Starting => 8,
        _ => STATES,
    };
    let mut text = format!("{:<9}", state.as_str());
    if width > BAR_TERMINAL {
        let filled = LENGTH * position / STATES;
        let head = if filled < LENGTH { ">" } else { "" };
        let _ = write!(text, " [{:<LENGTH$}]", format!("{}{head}", "=".repeat(filled)));
    }
    text
}

#[cfg(test)]
mod tests {
    use swarm_client::SlotProgress;

    use super::*;

    fn progress() -> Progress {
        let slot = |number, state, error: &str| SlotProgress {
            slot: SlotKey::Number(number),
            state,
            error: error.to_owned(),
        };
        Progress {
            running: 1,
            wanted: 2,
            rolling_back: None,
            slots: vec![
                slot(1, TaskState::Running, ""),
                slot(2, TaskState::Pending, "no suitable node\n(x)"),
            ],
            verify: None,
        }
    }

    #[test]
    fn without_a_terminal_only_totals_and_errors_are_shown() {
        let expected = ["overall progress: 1 out of 2 tasks", "2/2: no suitable node (x)"];
        assert_eq!(lines(&progress(), None), expected);
    }

    #[test]
    fn a_terminal_gets_a_line_per_slot_and_a_wide_one_bars() {
        let narrow = lines(&progress(), Some(80));
        assert_eq!(narrow[1], "1/2: running  ");
        let wide = lines(&progress(), Some(120));
        assert_eq!(wide[1], format!("1/2: running   [{}]", "=".repeat(50)));
        assert_eq!(bar(TaskState::New, 120).matches('=').count(), 5);
    }

    #[test]
    fn stability_is_announced_as_docker_does() {
        let waiting = Progress { verify: Some(Verify::Waiting(5)), ..progress() };
        assert!(lines(&waiting, None)[2].starts_with("verify: Waiting 5 seconds"));
        let failed = Progress { verify: Some(Verify::TaskFailed), ..progress() };
        assert_eq!(lines(&failed, None)[2], "verify: Detected task failure");
        let back = Progress { rolling_back: Some("why".into()), ..progress() };
        assert_eq!(
            lines(&back, None)[..2],
            ["rollback: why", "rolling back update: overall progress: 1 out of 2 tasks"]
        );
    }

    #[test]
    fn many_slots_get_no_lines() {
        assert_eq!(lines(&Progress { wanted: 21, ..progress() }, Some(80)).len(), 1);
    }
}
