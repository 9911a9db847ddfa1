//! One client: draws a call, makes it, notes it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use swarm_types::{IdSource, RequestId, ServiceId};
use tokio::runtime::{Builder, Runtime};

use super::{Object, Shared, lock, seen};
use crate::Dice;
use crate::client::{Answer, Manager, Read, Refused};
use crate::op::{Life, Outcome, Seen, Write};

/// How long a manager may take to answer.
const ANSWER: Duration = Duration::from_millis(1500);
/// How long a write is repeated.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time until a write is repeated, and at most until the next call.
const PAUSE: Duration = Duration::from_millis(100);

struct Client<'a> {
    shared: &'a Shared,
    managers: Vec<Manager>,
    dice: Dice,
    ids: IdSource,
}

/// What became of a write, after all attempts.
struct Told<T> {
    /// When the first attempt began that may have been the one.
    start: u64,
    /// The manager that was asked last.
    at: usize,
    came: Came<T>,
}

enum Came<T> {
    Done(Option<T>),
    Refused(Refused),
    Unknown,
    /// It was never taken: nobody led, or nobody was there.
    Nothing,
}

/// A runtime for one thread.
#[expect(clippy::expect_used, reason = "a test that cannot go on has failed")]
pub(super) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("make a runtime")
}

/// Makes calls until the recorder ends.
pub(super) fn client(shared: &Shared, seed: u64, number: u64) {
    runtime().block_on(async {
        let managers = shared.sockets.iter().cloned().map(Manager::new).collect();
        let dice = Dice::new(seed, number);
        let mut client = Client { shared, managers, dice, ids: IdSource::system() };
        while !shared.ended.load(Ordering::Relaxed) {
            let object = shared.object(&mut client.dice);
            client.call(&object).await;
            let pause = client.dice.within(0..30);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    });
}

impl Client<'_> {
    async fn call(&mut self, object: &Object) {
        let (known, gone) = {
            let log = lock(&object.log);
            (log.known.clone(), log.gone)
        };
        match (self.dice.within(0..100), known, gone) {
            (0..10, _, _) => self.list(object).await,
            (10..15, _, Some(gone)) => self.get(object, gone).await,
            (15..55, Some(known), _) => self.get(object, known.id).await,
            (55..87, Some(known), _) => self.update(object, &known).await,
            (87..96, Some(known), _) => self.remove(object, known.id).await,
            _ => self.create(object).await,
        }
    }

    async fn list(&mut self, object: &Object) {
        let (start, at) = (self.shared.now(), self.manager());
        let Answer::Yes(all) = self.managers[at].list(2 * ANSWER).await else { return };
        let read = all.into_iter().find(|read| read.name == object.name);
        let state = read.as_ref().map(|read| self.shared.state(read));
        object.note(start, self.shared.now(), at, seen(state));
        object.know(read);
    }

    async fn get(&mut self, object: &Object, id: ServiceId) {
        let (start, at) = (self.shared.now(), self.manager());
        let Answer::Yes(read) = self.managers[at].get(2 * ANSWER, id).await else { return };
        let outcome = match &read {
            Some(read) => seen(Some(self.shared.state(read))),
            None => Outcome::Seen(Seen::NotLife(self.shared.life(id))),
        };
        object.note(start, self.shared.now(), at, outcome);
        if read.is_some() || lock(&object.log).known.as_ref().is_some_and(|known| known.id == id) {
            object.know(read);
        }
    }

    async fn create(&mut self, object: &Object) {
        let (request, mark) = (self.ids.draw::<RequestId>(), self.shared.mark());
        let life = self.shared.begin_life(request.created());
        let told = self
            .insist(async |it: &Manager| it.create(ANSWER, request, &object.name, mark).await)
            .await;
        self.note(object, &told, Write::Create(life, mark), life);
        self.read(object, told);
    }

    async fn update(&mut self, object: &Object, known: &Read) {
        let (request, mark) = (self.ids.draw::<RequestId>(), self.shared.mark());
        let told =
            self.insist(async |it: &Manager| it.update(ANSWER, request, known, mark).await).await;
        let life = self.shared.life(known.id);
        self.note(object, &told, Write::Update(known.mark, mark), life);
        self.read(object, told);
    }

    async fn remove(&mut self, object: &Object, id: ServiceId) {
        let request = self.ids.draw::<RequestId>();
        let told = self.insist(async |it: &Manager| it.remove(ANSWER, request, id).await).await;
        let life = self.shared.life(id);
        self.note(object, &told, Write::Remove(life), life);
        if let Came::Done(_) = told.came {
            object.know(None);
        }
    }

    /// Notes what a write of a life came to. A refusal is an answer about what there is.
    fn note<T>(&self, object: &Object, told: &Told<T>, write: Write, life: Life) {
        let outcome = match (&told.came, write) {
            (Came::Done(_), _) => Outcome::Done(write),
            (Came::Unknown, _) => Outcome::Unknown(write),
            (Came::Refused(Refused::Taken), Write::Create(..)) => Outcome::Seen(Seen::Present),
            (Came::Refused(Refused::Stale), Write::Update(from, _)) => {
                Outcome::Seen(Seen::NotMark(from))
            }
            (Came::Refused(Refused::Missing), _) => Outcome::Seen(Seen::NotLife(life)),
            // Nothing follows for the object; that it had no effect is seen by whoever reads.
            (Came::Refused(_) | Came::Nothing, _) => return,
        };
        if let Outcome::Done(_) = outcome {
            self.shared.acknowledge();
        }
        object.note(told.start, self.shared.now(), told.at, outcome);
    }

    /// Notes what came with the answer to a write: the object, as of then or later.
    fn read(&self, object: &Object, told: Told<Read>) {
        if let Came::Done(Some(read)) = told.came {
            let state = self.shared.state(&read);
            object.note(told.start, self.shared.now(), told.at, seen(Some(state)));
            object.know(Some(read));
        }
    }

    fn manager(&mut self) -> usize {
        let count = u64::try_from(self.managers.len()).unwrap_or(u64::MAX);
        usize::try_from(self.dice.within(0..count)).unwrap_or_default()
    }

    /// Repeats a write until it is answered.
    ///
    /// Whatever a request came to first it comes to whenever it is repeated, and what is refused
    /// for its id or version stays refused: an answer speaks for all attempts before it.
    async fn insist<T>(&mut self, ask: impl AsyncFn(&Manager) -> Answer<Option<T>>) -> Told<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut lost = None;
        loop {
            let (now, at) = (self.shared.now(), self.manager());
            let answer = ask(&self.managers[at]).await;
            let start = lost.unwrap_or(now);
            match answer {
                Answer::Yes(answer) => return Told { start, at, came: Came::Done(answer) },
                Answer::No(refused) => return Told { start, at, came: Came::Refused(refused) },
                Answer::Lost(_) => lost = Some(start),
                Answer::NotNow(_) => {}
            }
            if Instant::now() > deadline {
                self.shared.failed.fetch_add(1, Ordering::Relaxed);
                let came = if lost.is_some() { Came::Unknown } else { Came::Nothing };
                return Told { start, at, came };
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
