//! Clients that change and read objects through every manager, and note what each call came to.
//!
//! A client is a thread that draws its next call. A write is repeated under its request id, at
//! whichever manager is drawn, until it is answered or its patience ends.
//! Objects are few at a time, so that clients meet, and live for few calls, so that the checker
//! has short histories.

mod call;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use swarm_types::ServiceId;

use crate::client::{Answer, Manager, Read};
use crate::op::{Life, Mark, Op, Outcome, Seen, State};
use crate::{Dice, Violation, check};

/// Objects that are in use at a time.
const OPEN: usize = 6;
/// Calls after which an object is left alone.
const CALLS: usize = 60;
/// How long a manager may take to answer the last read.
const LAST_READ: Duration = Duration::from_secs(60);

/// Clients at work.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

impl Recorder {
    /// Starts clients of the managers behind these sockets.
    #[must_use]
    pub fn start(seed: u64, sockets: Vec<PathBuf>, clients: u64) -> Self {
        let shared = Arc::new(Shared::new(sockets));
        let client = |number| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || call::client(&shared, seed, number))
        };
        let clients = (1..=clients).map(client).collect();
        Self { shared, clients }
    }

    /// Writes that were acknowledged up to now.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Writes that nobody answered, however often they were repeated.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// The longest time up to now in which no write was acknowledged.
    #[must_use]
    pub fn longest_gap(&self) -> Duration {
        let since = self.shared.now().saturating_sub(self.shared.last.load(Ordering::Relaxed));
        Duration::from_nanos(since.max(self.shared.gap.load(Ordering::Relaxed)))
    }

    /// Ends the clients, and reads every object through every manager.
    ///
    /// # Errors
    ///
    /// In words, when a manager does not answer in time; a client's panic.
    pub fn end(self) -> Result<History, String> {
        self.shared.ended.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().map_err(|_| "a client panicked".to_owned())?;
        }
        let shared = &self.shared;
        let objects = lock(&shared.objects).clone();
        for number in 0..shared.sockets.len() {
            let (start, all) = shared.last_read(number)?;
            let end = shared.now();
            for object in &objects {
                let seen = all.iter().find(|read| read.name == object.name);
                let seen = Seen::State(seen.map(|read| shared.state(read)));
                object.note(start, end, number, Outcome::Seen(seen));
            }
        }
        let ops = |object: &Arc<Object>| (object.name.clone(), lock(&object.log).ops.clone());
        Ok(History { objects: objects.iter().map(ops).collect() })
    }
}

/// What all clients saw.
#[derive(Clone, Debug)]
pub struct History {
    objects: Vec<(String, Vec<Op>)>,
}

impl History {
    /// Looks for an order of the calls of every object.
    ///
    /// # Errors
    ///
    /// The name of the first object that has none, and what is wrong.
    pub fn check(&self) -> Result<(), (String, Violation)> {
        let one = |(name, ops): &(String, Vec<Op>)| check(ops).map_err(|why| (name.clone(), why));
        self.objects.iter().try_for_each(one)
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = || self.objects.iter().flat_map(|(_, ops)| ops);
        let done = all().filter(|op| matches!(op.outcome, Outcome::Done(_))).count();
        let unknown = all().filter(|op| matches!(op.outcome, Outcome::Unknown(_))).count();
        let answers = all().count() - done - unknown;
        let objects = self.objects.len();
        write!(f, "{objects} objects, {done} writes, {unknown} unknown, {answers} other answers")
    }
}

/// What clients share.
#[derive(Debug)]
struct Shared {
    sockets: Vec<PathBuf>,
    began: Instant,
    ended: AtomicBool,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    /// When the last write was acknowledged, and the longest time between two, in nanoseconds.
    last: AtomicU64,
    gap: AtomicU64,
    marks: AtomicU32,
    lives: Mutex<HashMap<ServiceId, Life>>,
    /// All that ever were; the last few are open.
    objects: Mutex<Vec<Arc<Object>>>,
}

impl Shared {
    fn new(sockets: Vec<PathBuf>) -> Self {
        Self {
            sockets,
            began: Instant::now(),
            ended: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last: AtomicU64::new(0),
            gap: AtomicU64::new(0),
            marks: AtomicU32::new(1),
            lives: Mutex::default(),
            objects: Mutex::default(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn mark(&self) -> Mark {
        Mark(self.marks.fetch_add(1, Ordering::Relaxed))
    }

    /// Notes that a write was acknowledged.
    fn acknowledge(&self) {
        let now = self.now();
        let last = self.last.swap(now, Ordering::Relaxed);
        self.gap.fetch_max(now.saturating_sub(last), Ordering::Relaxed);
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    /// An object in use.
    fn object(&self, dice: &mut Dice) -> Arc<Object> {
        let mut objects = lock(&self.objects);
        let open = |object: &Arc<Object>| lock(&object.log).ops.len() < CALLS;
        let mut choice: Vec<Arc<Object>> = objects.iter().rev().take(2 * OPEN).cloned().collect();
        choice.retain(open);
        if choice.len() < OPEN {
            let name = format!("object-{}", objects.len());
            let object = Arc::new(Object { name, log: Mutex::default() });
            objects.push(Arc::clone(&object));
            return object;
        }
        Arc::clone(dice.pick(&choice))
    }

    /// The life of an object that was read; one that nobody began is no known one.
    fn life(&self, id: ServiceId) -> Life {
        lock(&self.lives).get(&id).copied().unwrap_or(Life(u32::MAX))
    }

    fn begin_life(&self, id: ServiceId) -> Life {
        let mut lives = lock(&self.lives);
        let next = Life(u32::try_from(lives.len()).unwrap_or(u32::MAX));
        *lives.entry(id).or_insert(next)
    }

    fn state(&self, read: &Read) -> (Life, Mark) {
        (self.life(read.id), read.mark)
    }

    /// What a manager lists, once it does, and when the answered question was asked.
    fn last_read(&self, number: usize) -> Result<(u64, Vec<Read>), String> {
        let deadline = Instant::now() + LAST_READ;
        let runtime = call::runtime();
        loop {
            let start = self.now();
            // A connection belongs to the runtime that made it.
            let answer = runtime.block_on(async {
                Manager::new(self.sockets[number].clone()).list(Duration::from_secs(10)).await
            });
            match answer {
                Answer::Yes(all) => return Ok((start, all)),
                other if Instant::now() > deadline => {
                    return Err(format!("m{} does not answer: {other:?}", number + 1));
                }
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

/// What bears one name.
#[derive(Debug)]
struct Object {
    name: String,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    ops: Vec<Op>,
    /// As it was last read.
    known: Option<Read>,
    /// An earlier life.
    gone: Option<ServiceId>,
}

impl Object {
    fn note(&self, start: u64, end: u64, manager: usize, outcome: Outcome) {
        let manager = u8::try_from(manager + 1).unwrap_or(u8::MAX);
        lock(&self.log).ops.push(Op { start, end, outcome, manager });
    }

    fn know(&self, read: Option<Read>) {
        let mut log = lock(&self.log);
        let before = std::mem::replace(&mut log.known, read);
        if let Some(before) = before {
            log.gone = Some(before.id);
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is seen when there is this or nothing.
fn seen(state: State) -> Outcome {
    Outcome::Seen(Seen::State(state))
}

#[cfg(test)]
mod tests;
