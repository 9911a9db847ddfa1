//! The program containerd starts beside a container, and its one loop.
//!
//! Blocking, one thread, buffers of fixed size: there is one per container. It ends when both
//! pipes have ended or the shim has done with them, and never before, since its death would break
//! the container's output: others' signals to end are not followed, and whatever cannot be
//! written is dropped and counted.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::{SigSet, Signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::dir::{self, Bounds};
use super::ended::Ended;
use super::frame::Kind;
use super::lines::Lines;
use super::store::Store;

/// Bytes read at once.
const READ: usize = 64 << 10;
/// Bytes cut into records at once; bounds what many short lines grow to.
const CUT: usize = 8 << 10;
/// Bytes of records that are written at once.
const BATCH: usize = 64 << 10;
/// Bytes a pipe holds, so that the container seldom waits.
const PIPE: usize = 256 << 10;
/// Rounds of reading on demand, enough for what full pipes hold.
const ROUNDS: usize = 2 * PIPE / READ;
/// How often room is looked for while something is dropped and nothing comes.
const RETRY: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Writes a container's output into `dir` until it has ended.
///
/// This is what runs as `PROGRAM log-writer DIR`, started by containerd with the container's
/// standard output as descriptor 3, its standard error as 4, and 5 to be closed when ready.
/// `PROGRAM` calls it first thing.
pub fn write_logs(dir: &Path) {
    let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGPIPE];
    // The loop does not depend on it succeeding.
    let _ = signals.into_iter().collect::<SigSet>().thread_block();
    let mut writer = Writer::open(dir);
    let _ = nix::unistd::close(5);
    writer.run(&Ended::watch());
}

#[derive(Debug)]
struct Writer {
    inputs: [Input; 2],
    /// Readers write to it what is read once all that came before is in the log.
    ask: Option<File>,
    store: Store,
    /// Records not written yet.
    batch: Vec<u8>,
    buffer: Box<[u8]>,
}

#[derive(Debug)]
struct Input {
    /// `None` when it has ended.
    pipe: Option<File>,
    lines: Lines,
}

impl Writer {
    fn open(dir: &Path) -> Self {
        let ask = File::options().read(true).write(true).custom_flags(NONBLOCK).open(dir::ask(dir));
        Self {
            inputs: [Input::take(3, Kind::Stdout), Input::take(4, Kind::Stderr)],
            ask: ask.ok(),
            store: Store::open(dir, Bounds::read(dir)),
            batch: Vec::with_capacity(BATCH),
            buffer: vec![0; READ].into(),
        }
    }

    fn run(&mut self, ended: &Ended) {
        while self.inputs.iter().any(|input| input.pipe.is_some()) {
            let wait = self.store.owes().then_some(RETRY);
            let ready = self.ready(wait.as_ref(), ended.fd());
            self.read(ready);
            self.write();
            if ready.asked {
                self.answer();
            }
            if ready.signaled && ended.by_shim() {
                self.drain();
                break;
            }
        }
        for input in &mut self.inputs {
            input.lines.end(now(), &mut self.batch);
        }
        self.write();
    }

    /// Waits until there is something to do.
    fn ready(&self, wait: Option<&Timespec>, ended: Option<BorrowedFd<'_>>) -> Ready {
        let pipes = self.inputs.each_ref().map(|input| input.pipe.as_ref().map(File::as_fd));
        let files = [pipes[0], pipes[1], self.ask.as_ref().map(File::as_fd), ended];
        let mut polled: Vec<PollFd<'_>> =
            files.iter().flatten().map(|file| PollFd::from_borrowed_fd(*file, IN)).collect();
        if poll(&mut polled, wait).is_err() {
            return Ready::default();
        }
        let mut events = polled.iter().map(|one| !one.revents().is_empty());
        let [stdout, stderr, asked, signaled] =
            files.map(|file| file.is_some() && events.next().unwrap_or(false));
        Ready { inputs: [stdout, stderr], asked, signaled }
    }

    /// Reads once from each pipe that has something.
    fn read(&mut self, ready: Ready) {
        for (at, ready) in ready.inputs.into_iter().enumerate() {
            if ready {
                self.read_input(at);
            }
        }
    }

    fn read_input(&mut self, at: usize) {
        let Input { pipe, lines } = &mut self.inputs[at];
        let Some(file) = pipe else { return };
        let now = now();
        match file.read(&mut self.buffer) {
            Ok(count) if count > 0 => {
                for piece in self.buffer[..count].chunks(CUT) {
                    lines.push(piece, now, &mut self.batch);
                    if self.batch.len() >= BATCH {
                        self.store.append(&self.batch, now);
                        self.batch.clear();
                    }
                }
            }
            Err(error) if is_passing(&error) => {}
            Ok(_) | Err(_) => {
                lines.end(now, &mut self.batch);
                *pipe = None;
            }
        }
    }

    fn write(&mut self) {
        if !self.batch.is_empty() || self.store.owes() {
            self.store.append(&self.batch, now());
            self.batch.clear();
        }
    }

    /// Reads and writes what the pipes hold.
    fn drain(&mut self) {
        for _ in 0..ROUNDS {
            let ready = self.ready(Some(&AT_ONCE), None);
            if !ready.inputs.contains(&true) {
                break;
            }
            self.read(ready);
            self.write();
        }
    }

    /// Writes all that was there when it was asked, also the beginning of a line.
    fn answer(&mut self) {
        self.drain();
        let now = now();
        for input in &mut self.inputs {
            input.lines.show(now, &mut self.batch);
        }
        self.write();
        let mut answered = [0; 256];
        if let Some(ask) = &mut self.ask {
            let _ = ask.read(&mut answered);
        }
    }
}

const IN: PollFlags = PollFlags::IN;
const NONBLOCK: i32 = nix::fcntl::OFlag::O_NONBLOCK.bits();

/// What there is to do.
#[derive(Clone, Copy, Default)]
struct Ready {
    inputs: [bool; 2],
    asked: bool,
    signaled: bool,
}

impl Input {
    /// The pipe containerd gave as descriptor `number`. Opened anew, so that not blocking is our
    /// own affair; ended when it cannot be had.
    fn take(number: i32, kind: Kind) -> Self {
        let path = format!("/proc/self/fd/{number}");
        let pipe = File::options().read(true).custom_flags(NONBLOCK).open(path).ok();
        let _ = nix::unistd::close(number);
        if let Some(pipe) = &pipe {
            let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE);
        }
        Self { pipe, lines: Lines::new(kind) }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
