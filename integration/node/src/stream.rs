//! A command whose output is read while it runs.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use crate::DEADLINE;

/// Lines that wait to be read.
const WAITING: usize = 1024;
/// How long a line may take that may not come at all.
const SOON: Duration = Duration::from_millis(200);

/// A running command; killed when dropped.
#[derive(Debug)]
pub struct Stream {
    child: Child,
    lines: Receiver<String>,
}

impl Stream {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|why| panic!("start {command:?}: {why}"));
        let (sender, lines) = sync_channel(WAITING);
        if let Some(stdout) = child.stdout.take() {
            // Ends with the command, or with this when nobody reads any more.
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Self { child, lines }
    }

    /// The next line, when it comes soon.
    #[must_use]
    pub fn next(&self) -> Option<String> {
        self.lines.recv_timeout(SOON).ok()
    }

    /// Reads until a line has all these words, and returns it.
    ///
    /// # Panics
    ///
    /// When none comes in time; the message has the lines that came instead.
    #[track_caller]
    pub fn until(&self, words: &[&str]) -> String {
        let (deadline, mut seen) = (Instant::now() + DEADLINE, Vec::new());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if words.iter().all(|word| line.contains(word)) => return line,
                Ok(line) => seen.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no line with {words:?} came; last seen: {seen:#?}")
                }
            }
        }
    }

    /// Waits until it ends by itself, and says how.
    ///
    /// # Panics
    ///
    /// When it does not end in time.
    #[track_caller]
    #[must_use]
    pub fn ended(mut self) -> ExitStatus {
        crate::until("the command ends", || {
            // It may wait to get rid of its lines.
            while self.lines.try_recv().is_ok() {}
            match self.child.try_wait() {
                Ok(Some(status)) => Ok(status),
                other => Err(format!("{other:?}")),
            }
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
