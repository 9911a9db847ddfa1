//! A reader that waits for more.
//!
//! It looks for more several times a second, and knows the end when containerd tells that the
//! container's process ended, or when there is no writer any more. Then it has the writer write
//! what it holds, and reads once more to the end.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::reading::{Progress, Reading};
use super::{Follow, LogLine, LogPlace, LogQuery, ask, dir, is_kept};
use crate::{Error, Runtime, Status};

/// Shortest and longest time between two looks for more.
const PAUSE: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(200)];
/// Time until containerd is asked again when it did not answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);

type Step = (Reading, io::Result<(Vec<LogLine>, Progress)>);
type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Reads a container's output in order. Made by [`Runtime::logs`].
pub struct LogReader {
    dir: PathBuf,
    /// Between two steps, and then the step that is under way.
    reading: Option<Reading>,
    step: Option<JoinHandle<Step>>,
    /// Resolves when the container has ended; `None` when nobody waits for more.
    ended: Option<Ended>,
    /// All is written: the next time there is nothing more, it is over.
    complete: bool,
    pause: Duration,
    until: Option<std::time::SystemTime>,
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("LogReader").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl LogReader {
    pub(super) async fn open(runtime: Runtime, id: &str, query: &LogQuery) -> Result<Self, Error> {
        crate::container::check_id(id)?;
        let dir = runtime.log_path(id);
        if !is_kept(&dir) {
            return Err(Error::NoLogs { id: id.into() });
        }
        ask::writer(&dir).await;
        let (query, from) = (*query, dir.clone());
        let opened = tokio::task::spawn_blocking(move || Reading::open(&from, &query));
        let reading = opened.await.map_err(io::Error::other).and_then(|opened| opened);
        let reading = reading.map_err(failed)?;
        let ended: Option<Ended> = match query.follow {
            Follow::No => None,
            Follow::UntilEnd => Some(Box::pin(ended(runtime, id.to_owned()))),
        };
        let (reading, until) = (Some(reading), query.until);
        let complete = false;
        Ok(Self { dir, reading, step: None, ended, complete, pause: PAUSE[0], until })
    }

    /// The next lines, some thousand at most; `None` at the end. Safe to drop and call again.
    ///
    /// # Errors
    ///
    /// When the files cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<LogLine>>, Error> {
        loop {
            let (lines, progress) = self.read().await.map_err(failed)?;
            if progress == Progress::Over {
                self.complete = true;
                self.ended = None;
            }
            if !lines.is_empty() {
                self.pause = PAUSE[0];
                return Ok(Some(lines));
            }
            match progress {
                Progress::More => {}
                Progress::Over => return Ok(None),
                Progress::Caught if self.complete => return Ok(None),
                Progress::Caught => self.wait().await,
            }
        }
    }

    /// Behind the lines that [`Self::next`] returned last: a reader that begins there, with
    /// [`LogQuery::after`], reads what follows, each line once. `None` while a call of `next` that
    /// was dropped is under way.
    #[must_use]
    pub fn place(&self) -> Option<LogPlace> {
        self.reading.as_ref().map(Reading::place)
    }

    /// One step on another thread, as the disk may be slow.
    async fn read(&mut self) -> io::Result<(Vec<LogLine>, Progress)> {
        if self.step.is_none() {
            let Some(mut reading) = self.reading.take() else {
                return Ok((Vec::new(), Progress::Over));
            };
            self.step = Some(tokio::task::spawn_blocking(move || {
                let read = reading.read();
                (reading, read)
            }));
        }
        let Some(step) = &mut self.step else { return Ok((Vec::new(), Progress::Over)) };
        let stepped = step.await;
        self.step = None;
        let (reading, read) = stepped.map_err(io::Error::other)?;
        self.reading = Some(reading);
        read
    }

    /// Waits for more, a moment, or learns that there will be none.
    async fn wait(&mut self) {
        let look = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSE[1]);
        let over = match &mut self.ended {
            Some(ended) => tokio::select! {
                () = ended => true,
                () = sleep_until(look) => false,
            },
            None => true,
        };
        if over {
            self.ended = None;
            ask::writer(&self.dir).await;
            self.complete = true;
        } else {
            self.complete = self.is_over();
        }
    }

    /// Whether nothing more can come, as far as the files tell.
    fn is_over(&self) -> bool {
        if self.until.is_some_and(|until| std::time::SystemTime::now() >= until) {
            return true;
        }
        // A container that never began has no segment.
        let begun = dir::segments(&self.dir).is_ok_and(|all| !all.is_empty());
        !is_kept(&self.dir) || (begun && ask::runs(&self.dir) == ask::Writer::Gone)
    }
}

/// Resolves when the container has ended or is gone.
async fn ended(runtime: Runtime, id: String) {
    loop {
        match runtime.wait(&id).await {
            Ok(_) | Err(Error::NotFound { .. }) => return,
            Err(Error::NoProcess { .. }) if is_lost(&runtime, &id).await => return,
            Err(_) => tokio::time::sleep(ASK_AGAIN).await,
        }
    }
}

/// Whether a container without a process had one.
async fn is_lost(runtime: &Runtime, id: &str) -> bool {
    matches!(runtime.status(id).await, Ok(Status::Lost | Status::Stopped(_)))
}

fn failed(source: io::Error) -> Error {
    Error::io("read the log of a container")(source)
}
