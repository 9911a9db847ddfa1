//! Sorts the members of a tar into files, as the tar arrives.
//!
//! A thread reads the tar; the async side only hands it pieces through a short queue, so memory
//! stays small whatever the archive's size, and a sender that stalls is noticed. Files are
//! numbered: a member's name is a key of a map, never a path.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tar::EntryType;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use super::documents::{Compression, hex};
use super::{BadArchive, Limits};
use crate::Error;

const PIECE: usize = 256 << 10;
/// A sender may be silent for so long.
const STALL: Duration = Duration::from_secs(60);
/// Largest JSON document.
const DOCUMENT: u64 = 4 << 20;
/// Longest member name.
const NAME: usize = 1024;

/// A member's content.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) file: PathBuf,
    pub(crate) size: u64,
    /// `sha256:...`
    pub(crate) digest: String,
    pub(crate) compression: Compression,
}

/// The members of one archive, deleted when dropped.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: TempDir,
    members: BTreeMap<String, Member>,
    /// Symbolic links to members, as older `docker save` wrote for a layer that is there already.
    links: BTreeMap<String, String>,
}

impl Spool {
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    pub(crate) fn member(&self, name: &str) -> Result<&Member, BadArchive> {
        // One link is followed, to a member: there is no chain and no way out of the archive.
        let linked = || self.members.get(self.links.get(name)?);
        let found = self.members.get(name).or_else(linked);
        found.ok_or_else(|| BadArchive::Missing(name.into()))
    }

    /// The blob with this digest in an OCI layout; its content is what the digest says.
    pub(crate) fn blob(&self, digest: &str, size: u64) -> Result<&Member, BadArchive> {
        let member = self.member(&format!("blobs/sha256/{}", hex(digest)?))?;
        let mismatch = |found: &str, announced: String| BadArchive::Mismatch {
            what: format!("blob {digest}"),
            found: found.into(),
            announced,
        };
        if member.digest != digest {
            return Err(mismatch(&member.digest, digest.into()));
        }
        if member.size != size {
            let found = format!("{} bytes", member.size);
            return Err(mismatch(&found, format!("{size} bytes")));
        }
        Ok(member)
    }

    /// A document's bytes.
    pub(crate) fn bytes(&self, name: &str, member: &Member) -> Result<Vec<u8>, BadArchive> {
        if member.size > DOCUMENT {
            return Err(BadArchive::TooLarge { what: "bytes in a document", limit: DOCUMENT });
        }
        let bad = |why: io::Error| document(name, &why);
        std::fs::read(&member.file).map_err(bad)
    }
}

pub(crate) fn document(name: &str, why: &dyn std::fmt::Display) -> BadArchive {
    BadArchive::Document { document: name.into(), why: why.to_string() }
}

pub(crate) fn parse<T: serde::de::DeserializeOwned>(
    name: &str,
    bytes: &[u8],
) -> Result<T, BadArchive> {
    serde_json::from_slice(bytes).map_err(|why| document(name, &why))
}

/// Reads an archive to its end.
pub(crate) async fn receive(
    mut source: impl AsyncRead + Send + Unpin,
    dir: &Path,
    limits: Limits,
) -> Result<Spool, Error> {
    let dir = tempfile::Builder::new().prefix("swarm-load-").tempdir_in(dir);
    let dir = dir.map_err(Error::io("make a directory for the archive"))?;
    let (sender, queue) = mpsc::channel(4);
    let sorter = tokio::task::spawn_blocking(move || sort(Pieces::new(queue), dir, limits));
    let pumped = pump(&mut source, sender).await;
    let sorted = sorter.await.map_err(|stopped| Error::io("sort the archive")(stopped.into()))?;
    // What broke the source matters more than the short archive it left.
    pumped?;
    sorted
}

async fn pump(
    source: &mut (impl AsyncRead + Unpin),
    queue: mpsc::Sender<Bytes>,
) -> Result<(), Error> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE);
        let read = tokio::select! {
            // The sorter has seen enough, good or bad: nobody waits for the rest.
            () = queue.closed() => return Ok(()),
            read = tokio::time::timeout(STALL, source.read_buf(&mut buffer)) => read,
        };
        let stalled = Error::TimedOut { call: "read the archive", waited: STALL };
        read.map_err(|_| stalled)?.map_err(Error::io("read the archive"))?;
        let piece = buffer.split().freeze();
        let end = piece.is_empty();
        // An empty piece is the end.
        if queue.send(piece).await.is_err() || end {
            return Ok(());
        }
    }
}

/// The blocking end of the queue.
struct Pieces {
    queue: mpsc::Receiver<Bytes>,
    piece: Bytes,
    ended: bool,
}

impl Pieces {
    fn new(queue: mpsc::Receiver<Bytes>) -> Self {
        Self { queue, piece: Bytes::new(), ended: false }
    }
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && !self.ended {
            self.piece = self.queue.blocking_recv().ok_or(io::ErrorKind::ConnectionAborted)?;
            self.ended = self.piece.is_empty();
        }
        let take = into.len().min(self.piece.len());
        into[..take].copy_from_slice(&self.piece.split_to(take));
        Ok(take)
    }
}

fn sort(pieces: Pieces, dir: TempDir, limits: Limits) -> Result<Spool, Error> {
    let mut source = BufReader::with_capacity(64 << 10, pieces);
    let head = source.fill_buf().map_err(not_tar)?;
    let plain: Box<dyn Read> = match head {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(source)),
        _ => Box::new(source),
    };
    let mut spool = Spool { dir, members: BTreeMap::new(), links: BTreeMap::new() };
    // Room for headers and padding beside the members themselves.
    let most = limits.bytes.saturating_add(limits.members as u64 * 4096);
    let mut archive = tar::Archive::new(plain.take(most));
    let mut sorter = Sorter { spool: &mut spool, limits, seen: 0, bytes: 0, long_name: None };
    for entry in archive.entries().map_err(not_tar)?.raw(true) {
        sorter.entry(&mut entry.map_err(not_tar)?)?;
    }
    Ok(spool)
}

fn not_tar(why: io::Error) -> Error {
    BadArchive::NotTar(why.to_string()).into()
}

struct Sorter<'a> {
    spool: &'a mut Spool,
    limits: Limits,
    seen: usize,
    bytes: u64,
    /// Name for the next member, from an extension header.
    long_name: Option<String>,
}

impl Sorter<'_> {
    fn entry(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Result<(), Error> {
        self.seen += 1;
        if self.seen > self.limits.members {
            let limit = self.limits.members as u64;
            return Err(BadArchive::TooLarge { what: "members", limit }.into());
        }
        match entry.header().entry_type() {
            EntryType::XGlobalHeader => Ok(()),
            EntryType::GNULongName => {
                let bytes = extension(entry)?;
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                self.long_name = Some(text(&bytes[..end])?);
                Ok(())
            }
            EntryType::XHeader => self.pax(&extension(entry)?),
            kind => self.member(entry, kind),
        }
    }

    fn pax(&mut self, bytes: &[u8]) -> Result<(), Error> {
        for record in tar::PaxExtensions::new(bytes) {
            let record = record.map_err(not_tar)?;
            match record.key_bytes() {
                b"path" => self.long_name = Some(text(record.value_bytes())?),
                // Only for members of 8 GiB and more.
                b"size" => {
                    let limit = (8 << 30) - 1;
                    return Err(BadArchive::TooLarge { what: "bytes in a member", limit }.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn member(
        &mut self,
        entry: &mut tar::Entry<'_, impl Read>,
        kind: EntryType,
    ) -> Result<(), Error> {
        let raw = match self.long_name.take() {
            Some(name) => name,
            None => text(&entry.path_bytes())?,
        };
        let name = checked_name(&raw)?;
        match kind {
            EntryType::Directory => return Ok(()),
            EntryType::Regular | EntryType::Continuous | EntryType::Symlink => {}
            _ => return Err(BadArchive::MemberKind(raw).into()),
        }
        let twice = self.spool.members.contains_key(&name) || self.spool.links.contains_key(&name);
        if name.is_empty() || twice {
            return Err(BadArchive::MemberName(raw).into());
        }
        if kind == EntryType::Symlink {
            let target = text(&entry.link_name_bytes().unwrap_or_default())?;
            let target = resolve(&name, &target).ok_or(BadArchive::MemberKind(raw))?;
            self.spool.links.insert(name, target);
            return Ok(());
        }
        let size = entry.header().size().map_err(not_tar)?;
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.limits.bytes {
            return Err(BadArchive::TooLarge { what: "bytes", limit: self.limits.bytes }.into());
        }
        let file = self.spool.dir.path().join(self.seen.to_string());
        let member = keep(entry, file, size)?;
        self.spool.members.insert(name, member);
        Ok(())
    }
}

/// Writes a member to `file` and measures it.
fn keep(source: &mut impl Read, file: PathBuf, announced: u64) -> Result<Member, Error> {
    let mut out = File::create_new(&file).map_err(Error::io("keep a part of the archive"))?;
    let mut hasher = Sha256::new();
    let mut head = [0; 4];
    let mut size = 0;
    let mut buffer = vec![0; PIECE];
    loop {
        let read = source.read(&mut buffer).map_err(not_tar)?;
        if read == 0 {
            break;
        }
        if size == 0 {
            let known = read.min(4);
            head[..known].copy_from_slice(&buffer[..known]);
        }
        size += read as u64;
        hasher.update(&buffer[..read]);
        out.write_all(&buffer[..read]).map_err(Error::io("keep a part of the archive"))?;
    }
    if size != announced {
        return Err(BadArchive::NotTar("it ends within a member".into()).into());
    }
    let digest = super::digest_text(hasher);
    Ok(Member { file, size, digest, compression: Compression::of_bytes(head) })
}

fn extension(entry: &mut impl Read) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let most = 64 << 10;
    entry.take(most + 1).read_to_end(&mut bytes).map_err(not_tar)?;
    if bytes.len() as u64 > most {
        return Err(BadArchive::TooLarge { what: "bytes in a header", limit: most }.into());
    }
    Ok(bytes)
}

fn text(bytes: &[u8]) -> Result<String, BadArchive> {
    let lossy = || BadArchive::MemberName(String::from_utf8_lossy(bytes).into_owned());
    String::from_utf8(bytes.to_vec()).map_err(|_| lossy())
}

/// The name without `.` parts; refuses what would leave the archive if it were a path.
fn checked_name(raw: &str) -> Result<String, BadArchive> {
    let parts: Vec<&str> = raw.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let bad = raw.starts_with('/')
        || raw.len() > NAME
        || raw.contains(['\0', '\\'])
        || parts.contains(&"..");
    if bad { Err(BadArchive::MemberName(raw.into())) } else { Ok(parts.join("/")) }
}

/// Where a link leads within the archive; `None` when it leads out of it.
fn resolve(link: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()?),
            "" | "." => {}
            part => parts.push(part),
        }
    }
    let leads = !target.starts_with('/') && !parts.is_empty();
    leads.then(|| parts.join("/"))
}

#[cfg(test)]
mod tests;
