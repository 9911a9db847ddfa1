//! The sled tree of the store: what its records look like, and how they become durable.
//!
//! A key is a record's name and the number of a chunk; a value is the number of chunks and the
//! sealed chunk. Each chunk repeats the name inside the seal, so that no record opens in
//! another's place. Chunks are small: sled never syncs a leaf of more than 128 KiB, and puts up
//! to some twenty values into one. After sled's flush the file is synced through a second
//! handle, since sled syncs neither the drive's cache nor the size of the file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prost::Message;
use sled::Batch;
use swarm_crypto::KeyFile;
use swarm_crypto::seal::{Kind, Place, Sealer};
use swarm_proto::{field, v1};
use swarm_types::{Task, TaskId, TaskStatus, Timestamp};

use super::mark::{Mark, Noted};
use super::{Change, Kept, Ordered, StoreError};
use crate::session::Obeyed;

/// Clear bytes in a chunk: twenty sealed chunks stay under 128 KiB.
const CHUNK: usize = 6000;
/// The store's id, in clear: what every record is sealed for.
const STORE: &[u8] = b"store";
/// How often and how far apart the lock of the tree is asked for.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// First byte of an order.
const PURSUE: u8 = 1;
const REMOVE: u8 = 2;
const RETIRE: u8 = 3;

/// A record's name. The first bytes are on disk and never reused.
#[derive(Clone, Copy, Debug)]
enum Name {
    Order(TaskId),
    Status(TaskId),
    Obeyed,
    Managers,
    /// The number of the last sync.
    Syncs,
}

impl Name {
    fn bytes(self) -> Vec<u8> {
        let (kind, task) = match self {
            Self::Order(task) => (b'o', Some(task)),
            Self::Status(task) => (b't', Some(task)),
            Self::Obeyed => (b'e', None),
            Self::Managers => (b'm', None),
            Self::Syncs => (b'n', None),
        };
        let task = task.map(|task| task.bytes().to_vec()).unwrap_or_default();
        [vec![kind], task].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let task = || field::id(rest, "task").ok();
        match kind {
            b'o' => task().map(Self::Order),
            b't' => task().map(Self::Status),
            b'e' if rest.is_empty() => Some(Self::Obeyed),
            b'm' if rest.is_empty() => Some(Self::Managers),
            b'n' if rest.is_empty() => Some(Self::Syncs),
            _ => None,
        }
    }
}

/// The open tree.
pub(super) struct Table {
    db: sled::Db,
    file: File,
    dir: PathBuf,
    sealer: Sealer,
    store: [u8; 16],
    mark: Mark,
    syncs: u64,
}

impl Table {
    /// Opens the tree in `dir`, or makes it, and reads all of it.
    pub(super) fn open(dir: &Path) -> Result<(Self, Kept), StoreError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(io("make", dir))?;
        let tree = dir.join("tasks");
        let path = tree.join("db");
        let key_path = dir.join("worker.key");
        let mark_path = dir.join("mark");
        // A tree that is gone was there once, if there is a mark: what is made now is not it.
        let fresh = !path.exists() && !mark_path.exists();
        let key =
            if fresh { KeyFile::load_or_create(&key_path)? } else { KeyFile::load(&key_path)? };
        let db = open_tree(&tree).map_err(|error| damaged(dir, error))?;
        let file = File::open(&path).map_err(io("open", &path))?;
        let store = store_id(&db, dir)?;
        let mark = Mark::open(&mark_path).map_err(io("open", &mark_path))?;
        let sealer = key.sealer();
        let mut table = Self { db, file, dir: dir.to_owned(), sealer, store, mark, syncs: 0 };
        let kept = table.read()?;
        table.syncs = kept.syncs;
        if table.check()? == Noted::Nothing {
            table.settle(&tree)?;
        }
        Ok((table, kept))
    }

    /// Refuses a tree that lost its end. Before the first mark nothing was acknowledged.
    fn check(&self) -> Result<Noted, StoreError> {
        let noted = self.mark.read(&self.sealer, self.store);
        let why = match noted {
            Noted::Nothing if self.syncs <= 1 => return Ok(noted),
            Noted::Sync(last) if self.syncs >= last => return Ok(noted),
            Noted::Sync(_) => "its last records are missing",
            Noted::Nothing | Noted::Unreadable => "its mark is missing or of another store",
        };
        Err(damaged(&self.dir, why))
    }

    /// Makes the files of a new tree durable with their names.
    fn settle(&mut self, tree: &Path) -> Result<(), StoreError> {
        self.sync()?;
        for path in [tree.join("conf").as_path(), tree, self.dir.as_path()] {
            let synced = File::open(path).and_then(|file| file.sync_all());
            synced.map_err(io("sync", path))?;
        }
        Ok(())
    }

    /// Writes the changes, all or none of them; not durable before [`sync`](Self::sync).
    pub(super) fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for change in changes {
            match change {
                Change::Order(task, order) => {
                    self.put(&mut batch, Name::Order(*task), &encode(order))?;
                }
                Change::Status(task, status) => {
                    let clear = v1::TaskStatus::from(status).encode_to_vec();
                    self.put(&mut batch, Name::Status(*task), &clear)?;
                }
                Change::Forget(task) => self.forget(&mut batch, *task)?,
                Change::Obeyed(obeyed) => {
                    let clear = [obeyed.epoch.to_be_bytes(), obeyed.index.to_be_bytes()].concat();
                    self.put(&mut batch, Name::Obeyed, &clear)?;
                }
                Change::Managers(managers) => {
                    self.put(&mut batch, Name::Managers, managers.join("\n").as_bytes())?;
                }
            }
        }
        self.db.apply_batch(batch).map_err(|error| damaged(&self.dir, error))
    }

    /// Makes everything written before durable.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        let (syncs, mut batch) = (self.syncs + 1, Batch::default());
        self.put(&mut batch, Name::Syncs, &syncs.to_be_bytes())?;
        self.db.apply_batch(batch).map_err(|error| damaged(&self.dir, error))?;
        self.db.flush().map_err(|error| damaged(&self.dir, error))?;
        self.file.sync_data().map_err(io("sync", &self.dir))?;
        self.syncs = syncs;
        self.mark.write(syncs, &self.sealer, self.store).map_err(io("mark", &self.dir))
    }

    fn put(&self, batch: &mut Batch, name: Name, clear: &[u8]) -> Result<(), StoreError> {
        let name = name.bytes();
        self.drop_all(batch, &name)?;
        let parts: Vec<&[u8]> =
            if clear.is_empty() { vec![&[]] } else { clear.chunks(CHUNK).collect() };
        let chunks = u16::try_from(parts.len());
        let chunks = chunks.map_err(|_| damaged(&self.dir, "a record is too long"))?;
        for (chunk, part) in (0..chunks).zip(parts) {
            let sealed = self.sealer.seal(&self.place(chunk, chunks), &[&name, part].concat());
            let value = [&chunks.to_be_bytes()[..], &sealed].concat();
            batch.insert([&name[..], &chunk.to_be_bytes()].concat(), value);
        }
        Ok(())
    }

    fn drop_all(&self, batch: &mut Batch, name: &[u8]) -> Result<(), StoreError> {
        for key in self.db.scan_prefix(name).keys() {
            batch.remove(key.map_err(|error| damaged(&self.dir, error))?);
        }
        Ok(())
    }

    /// Only a task under removal: one ordered anew must not lose its order.
    fn forget(&self, batch: &mut Batch, task: TaskId) -> Result<(), StoreError> {
        let name = Name::Order(task).bytes();
        let first = self.db.get([&name[..], &0_u16.to_be_bytes()].concat());
        let Some(value) = first.map_err(|error| damaged(&self.dir, error))? else { return Ok(()) };
        let clear = self.unseal(&name, 0, &value)?.1;
        if clear.first().is_some_and(|kind| [REMOVE, RETIRE].contains(kind)) {
            self.drop_all(batch, &name)?;
            self.drop_all(batch, &Name::Status(task).bytes())?;
        }
        Ok(())
    }

    const fn place(&self, chunk: u16, chunks: u16) -> Place {
        let (chunk, chunks) = (chunk as u32, chunks as u32);
        Place { store: self.store, kind: Kind::Worker, index: 0, term: 0, chunk, chunks }
    }

    /// The number of chunks of the record and what this one holds.
    fn unseal(&self, name: &[u8], chunk: u16, value: &[u8]) -> Result<(u16, Vec<u8>), StoreError> {
        let wrong = |why: &dyn ToString| damaged(&self.dir, why.to_string());
        let (chunks, sealed) = value.split_first_chunk().ok_or_else(|| wrong(&"a short value"))?;
        let chunks = u16::from_be_bytes(*chunks);
        let clear = self.sealer.open(&self.place(chunk, chunks), sealed);
        let clear = clear.map_err(|error| wrong(&error))?;
        let part = clear.strip_prefix(name).ok_or_else(|| wrong(&"a record in another's place"))?;
        Ok((chunks, part.to_vec()))
    }

    fn read(&self) -> Result<Kept, StoreError> {
        let mut records: BTreeMap<Vec<u8>, (u16, u16, Vec<u8>)> = BTreeMap::new();
        for found in self.db.iter() {
            let (key, value) = found.map_err(|error| damaged(&self.dir, error))?;
            if key == STORE {
                continue;
            }
            let (name, chunk) =
                key.split_last_chunk().ok_or_else(|| damaged(&self.dir, "a short key"))?;
            let (chunks, part) = self.unseal(name, u16::from_be_bytes(*chunk), &value)?;
            let record = records.entry(name.to_vec()).or_insert((chunks, 0, Vec::new()));
            record.1 += 1;
            record.2.extend(part);
        }
        let mut kept = Kept::default();
        for (name, (chunks, found, clear)) in records {
            let known = Name::read(&name).filter(|_| chunks == found);
            let known =
                known.ok_or_else(|| damaged(&self.dir, "an incomplete or unknown record"))?;
            decode(known, &clear, &mut kept).map_err(|why| damaged(&self.dir, why))?;
        }
        // The end of a task that was forgotten while its last status was on its way.
        kept.statuses.retain(|task, _| kept.orders.contains_key(task));
        Ok(kept)
    }
}

/// Opens sled. Whoever had it open in this process may take a moment to let go of its lock.
fn open_tree(tree: &Path) -> Result<sled::Db, sled::Error> {
    // Its garbage collection lives in the periodic flusher.
    let config = sled::Config::new().path(tree).cache_capacity(8 << 20).flush_every_ms(Some(1000));
    let mut tries = LOCK_TRIES;
    loop {
        match config.open() {
            Err(sled::Error::Io(_)) if tries > 0 => tries -= 1,
            opened => return opened,
        }
        std::thread::sleep(LOCK_PAUSE);
    }
}

fn store_id(db: &sled::Db, dir: &Path) -> Result<[u8; 16], StoreError> {
    let found = db.get(STORE).map_err(|error| damaged(dir, error))?;
    match found {
        Some(id) => id.as_ref().try_into().map_err(|_| damaged(dir, "its id is cut")),
        // The first start was interrupted.
        None if db.is_empty() => {
            let id: [u8; 16] = rand::random();
            db.insert(STORE, &id).map_err(|error| damaged(dir, error))?;
            Ok(id)
        }
        None => Err(damaged(dir, "its id is missing")),
    }
}

fn encode(order: &Ordered) -> Vec<u8> {
    match order {
        Ordered::Pursue(task) => {
            let mut out = vec![PURSUE];
            out.extend(v1::Task::from(task.as_ref()).encode_to_vec());
            out
        }
        Ordered::Retire { grace, until } => {
            [&[RETIRE][..], &millis(*grace).to_be_bytes(), &until.0.to_be_bytes()].concat()
        }
        Ordered::Remove { grace } => [&[REMOVE][..], &millis(*grace).to_be_bytes()].concat(),
    }
}

fn millis(grace: Duration) -> u64 {
    u64::try_from(grace.as_millis()).unwrap_or(u64::MAX)
}

fn decode(name: Name, clear: &[u8], kept: &mut Kept) -> Result<(), String> {
    let unreadable = |error: &dyn ToString| error.to_string();
    match name {
        Name::Order(id) => {
            let order = match clear.split_first() {
                Some((&PURSUE, task)) => {
                    let task = v1::Task::decode(task).map_err(|error| unreadable(&error))?;
                    let task = Task::try_from(task).map_err(|error| unreadable(&error))?;
                    Ordered::Pursue(Box::new(task))
                }
                Some((&REMOVE, millis)) => {
                    let millis = millis.try_into().map_err(|_| "a short order")?;
                    Ordered::Remove { grace: Duration::from_millis(u64::from_be_bytes(millis)) }
                }
                Some((&RETIRE, rest)) => {
                    let (millis, until) = rest.split_first_chunk().ok_or("a short order")?;
                    let until = until.try_into().map_err(|_| "a short order")?;
                    Ordered::Retire {
                        grace: Duration::from_millis(u64::from_be_bytes(*millis)),
                        until: Timestamp(i64::from_be_bytes(until)),
                    }
                }
                _ => return Err("an unknown order".to_owned()),
            };
            kept.orders.insert(id, order);
        }
        Name::Status(id) => {
            let status = v1::TaskStatus::decode(clear).map_err(|error| unreadable(&error))?;
            let status = TaskStatus::try_from(status).map_err(|error| unreadable(&error))?;
            kept.statuses.insert(id, status);
        }
        Name::Obeyed => {
            let (epoch, index) = clear.split_first_chunk().ok_or("a short number")?;
            let index = index.try_into().map_err(|_| "a short number")?;
            let (epoch, index) = (u64::from_be_bytes(*epoch), u64::from_be_bytes(index));
            kept.obeyed = Obeyed { epoch, index };
        }
        Name::Syncs => {
            let syncs = clear.try_into().map_err(|_| "a short number")?;
            kept.syncs = u64::from_be_bytes(syncs);
        }
        Name::Managers => {
            let text = std::str::from_utf8(clear).map_err(|error| unreadable(&error))?;
            kept.managers = text.lines().map(str::to_owned).collect();
        }
    }
    Ok(())
}

fn damaged(dir: &Path, why: impl ToString) -> StoreError {
    StoreError::Damaged { dir: dir.to_owned(), why: why.to_string() }
}

fn io<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> StoreError + use<'a> {
    move |source| StoreError::Io { action, path: path.to_owned(), source }
}
