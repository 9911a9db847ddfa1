//! How far the tree must at least go: sled opens a tree that lost its end as if nothing was.
//!
//! Each sync has a number. The tree holds it, and after the sync, before anybody hears of it, so
//! does this small file. A tree with a lower number than that has lost what was acknowledged.
//! Two slots are written in turns, so that a torn write leaves the one before.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use swarm_crypto::seal::{Kind, Place, Sealer};

/// Bytes of a slot: what a drive writes whole.
const SLOT: usize = 512;
const SLOTS: u32 = 2;
/// Bytes of the file.
const SIZE: usize = 2 * SLOT;

/// What the file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Noted {
    /// No sync was finished yet.
    Nothing,
    /// The number of the last one.
    Sync(u64),
    /// Neither slot can be read, or they are of another tree.
    Unreadable,
}

/// The open file.
pub(super) struct Mark(File);

impl Mark {
    /// Opens the file at `path`, or makes it with nothing in it, at its full size.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        if file.metadata()?.len() == 0 {
            file.write_all_at(&[0; SIZE], 0)?;
            file.sync_all()?;
        }
        Ok(Self(file))
    }

    /// What it says of the tree with that id.
    pub(super) fn read(&self, sealer: &Sealer, store: [u8; 16]) -> Noted {
        let slots = (0..SLOTS).filter_map(|slot| self.read_slot(slot, sealer, store));
        match slots.max() {
            Some(sync) => Noted::Sync(sync),
            None if self.is_blank() => Noted::Nothing,
            None => Noted::Unreadable,
        }
    }

    fn is_blank(&self) -> bool {
        let mut bytes = [1; SIZE];
        self.0.read_exact_at(&mut bytes, 0).is_ok() && bytes.iter().all(|byte| *byte == 0)
    }

    fn read_slot(&self, slot: u32, sealer: &Sealer, store: [u8; 16]) -> Option<u64> {
        let mut bytes = [0; SLOT];
        self.0.read_exact_at(&mut bytes, offset(slot)).ok()?;
        let (length, rest) = bytes.split_first_chunk()?;
        let sealed = rest.get(..u16::from_be_bytes(*length).into())?;
        let clear = sealer.open(&place(slot, store), sealed).ok()?;
        clear.as_slice().try_into().map(u64::from_be_bytes).ok()
    }

    /// Notes a sync, durably.
    pub(super) fn write(&self, sync: u64, sealer: &Sealer, store: [u8; 16]) -> io::Result<()> {
        let slot = u32::from(sync % 2 == 1);
        let sealed = sealer.seal(&place(slot, store), &sync.to_be_bytes());
        let length = u16::try_from(sealed.len()).unwrap_or_default();
        let bytes = [&length.to_be_bytes()[..], &sealed].concat();
        self.0.write_all_at(&bytes, offset(slot))?;
        self.0.sync_data()
    }
}

/// No record of the tree has an index.
const fn place(slot: u32, store: [u8; 16]) -> Place {
    Place { store, kind: Kind::Worker, index: u64::MAX, term: 0, chunk: slot, chunks: SLOTS }
}

const fn offset(slot: u32) -> u64 {
    slot as u64 * SLOT as u64
}
