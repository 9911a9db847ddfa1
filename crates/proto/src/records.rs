//! How entries of the log and records of a snapshot are written and read.
//!
//! What is stored is read strictly: the level first, then the rest, and only if this version
//! would write it in as many bytes. A field of a newer version, which the generated code skips
//! without a word, is thus refused also where somebody forgot to raise the level.
//!
//! Sealing, checksums and where the bytes go are the caller's business.

use std::sync::Arc;

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, key_len, message, skip_field};
use swarm_types::{Entry, Group, HashCheck, LEVEL, Object, Record, SnapshotHeader};

use crate::codec::{hash, maybe, mirror, need, time};
use crate::error::Why;
use crate::shared::{TemplateReader, TemplateWriter};
use crate::v1::record::Record as Wire;
use crate::{DecodeError, v1};

/// Number of `groups` in `Entry`.
const GROUPS: u32 = 3;

mirror!(Group { request: id, expect: list, changes: list });
mirror!(HashCheck { index: same, hash: hash });

/// Writes an entry.
#[must_use]
pub fn encode_entry(entry: &Entry) -> Vec<u8> {
    let head = v1::Entry {
        level: entry.level,
        at_ns: time::enc(&entry.at),
        groups: Vec::new(),
        check: maybe::enc(&entry.check),
    };
    let mut out = head.encode_to_vec();
    // One group at a time: the messages of a whole entry would be several times its bytes.
    for group in &entry.groups {
        message::encode(GROUPS, &v1::Group::from(group.as_ref()), &mut out);
    }
    out
}

/// How many bytes the group adds to an entry.
#[must_use]
pub fn group_len(group: &Group) -> usize {
    message::encoded_len(GROUPS, &v1::Group::from(group))
}

/// Reads an entry.
///
/// # Errors
///
/// [`Why::UnknownLevel`] and [`Why::UnknownFields`] when a newer version wrote it: this replica
/// must stop. Anything else means that the bytes are not what [`encode_entry`] wrote.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, DecodeError> {
    check_level(read::<v1::Level>(bytes, "entry")?.level, "level")?;
    let (head, groups) = read_entry(bytes)?;
    Ok(Entry {
        level: head.level,
        at: time::dec(head.at_ns, "at_ns")?,
        groups,
        check: maybe::dec(head.check, "check")?,
    })
}

/// An entry without its groups, and these.
///
/// One group at a time, as they are written: the messages of a whole entry would be several
/// times its bytes.
fn read_entry(bytes: &[u8]) -> Result<(v1::Entry, Vec<Arc<Group>>), DecodeError> {
    let damaged = |error| DecodeError::new("entry", Why::Damaged(error));
    let (mut head, mut groups, mut len) = (v1::Entry::default(), Vec::new(), 0);
    let mut rest = bytes;
    while !rest.is_empty() {
        let field = rest;
        let (number, form) = decode_key(&mut rest).map_err(damaged)?;
        if (number, form) == (GROUPS, WireType::LengthDelimited) {
            let part = cut(&mut rest, "entry")?;
            let group: v1::Group = read_strictly(part, "entry")?;
            let group = Group::try_from(group);
            let group = group.map_err(|error| error.within_list("groups", groups.len()))?;
            groups.push(Arc::new(group));
            len += key_len(GROUPS) + prost::length_delimiter_len(part.len()) + part.len();
        } else {
            skip_field(form, number, &mut rest, DecodeContext::default()).map_err(damaged)?;
            head.merge(&field[..field.len() - rest.len()]).map_err(damaged)?;
        }
    }
    if head.encoded_len() + len == bytes.len() {
        return Ok((head, groups));
    }
    Err(DecodeError::new("entry", Why::UnknownFields))
}

/// Writes the records of one snapshot, the header first.
///
/// Each record stands behind its length: a reader finds the border, and the bytes of several
/// pushes may be put together or kept apart.
#[derive(Debug, Default)]
pub struct RecordEncoder {
    templates: TemplateWriter,
}

impl RecordEncoder {
    /// An encoder for one snapshot.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the record, before it the template of a task that no task before had.
    pub fn push(&mut self, record: &Record, out: &mut Vec<u8>) {
        let record = match record {
            Record::Header(header) => Wire::Header(v1::SnapshotHeader {
                level: LEVEL,
                applied: header.applied,
                at_ns: time::enc(&header.at),
                hash: hash::enc(&header.hash),
            }),
            Record::Object(Object::Task(task)) => {
                let (task, template) = self.templates.place(task);
                if let Some(template) = template {
                    append(Wire::Template(template.into()), out);
                }
                Wire::Task(task)
            }
            Record::Object(object) => write_object(object),
            Record::Request(request) => Wire::Request(request.into()),
        };
        append(record, out);
    }
}

fn append(record: Wire, out: &mut Vec<u8>) {
    out.extend(v1::Record { record: Some(record) }.encode_length_delimited_to_vec());
}

fn write_object(object: &Object) -> Wire {
    match object {
        Object::Cluster(it) => Wire::Cluster(it.as_ref().into()),
        Object::Node(it) => Wire::Node(it.as_ref().into()),
        Object::Service(it) => Wire::Service(it.as_ref().into()),
        Object::Task(it) => Wire::Task(it.as_ref().into()),
        Object::Network(it) => Wire::Network(it.as_ref().into()),
        Object::Secret(it) => Wire::Secret(it.as_ref().into()),
        Object::Config(it) => Wire::Config(it.as_ref().into()),
        Object::Volume(it) => Wire::Volume(it.as_ref().into()),
        Object::Extension(it) => Wire::Extension(it.as_ref().into()),
        Object::Resource(it) => Wire::Resource(it.as_ref().into()),
    }
}

/// Reads the records of one snapshot, in the order they were written.
#[derive(Debug, Default)]
pub struct RecordDecoder {
    templates: TemplateReader,
    begun: bool,
}

impl RecordDecoder {
    /// A decoder for one snapshot.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next record and moves `bytes` behind it; `None` when there is none left.
    ///
    /// `bytes` may be any part of the snapshot that ends between two records.
    ///
    /// # Errors
    ///
    /// As [`decode_entry`]; also when the snapshot does not begin with its header. The decoder
    /// is of no use after an error.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Record>, DecodeError> {
        while !bytes.is_empty() {
            let part = cut(bytes, "record")?;
            if !self.begun {
                let first: v1::FirstRecord = read(part, "header")?;
                let header = first.header.ok_or_else(|| DecodeError::missing("header"))?;
                check_level(header.level, "header.level")?;
            }
            let record = read_strictly::<v1::Record>(part, "record")?.record;
            let record = record.ok_or_else(|| DecodeError::missing("record"))?;
            if let Some(record) = self.record(record)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    fn record(&mut self, record: Wire) -> Result<Option<Record>, DecodeError> {
        let object = match record {
            Wire::Header(header) => {
                if std::mem::replace(&mut self.begun, true) {
                    return Err(DecodeError::new("header", Why::Not("alone")));
                }
                let header = read_header(header).map_err(|error| error.within("header"))?;
                return Ok(Some(Record::Header(header)));
            }
            Wire::Template(template) => {
                self.templates.add(template).map_err(|error| error.within("template"))?;
                return Ok(None);
            }
            Wire::Request(request) => {
                return Ok(Some(Record::Request(need::dec(Some(request), "request")?)));
            }
            Wire::Task(task) => {
                let task = self.templates.task(task).map_err(|error| error.within("task"))?;
                Object::Task(task.into())
            }
            Wire::Cluster(it) => Object::Cluster(shared(it, "cluster")?),
            Wire::Node(it) => Object::Node(shared(it, "node")?),
            Wire::Service(it) => Object::Service(shared(it, "service")?),
            Wire::Network(it) => Object::Network(shared(it, "network")?),
            Wire::Secret(it) => Object::Secret(shared(it, "secret")?),
            Wire::Config(it) => Object::Config(shared(it, "config")?),
            Wire::Volume(it) => Object::Volume(shared(it, "volume")?),
            Wire::Extension(it) => Object::Extension(shared(it, "extension")?),
            Wire::Resource(it) => Object::Resource(shared(it, "resource")?),
        };
        Ok(Some(Record::Object(object)))
    }
}

fn shared<W, T: TryFrom<W, Error = DecodeError>>(it: W, name: &str) -> Result<Arc<T>, DecodeError> {
    need::dec(Some(it), name).map(Arc::new)
}

fn read_header(header: v1::SnapshotHeader) -> Result<SnapshotHeader, DecodeError> {
    Ok(SnapshotHeader {
        applied: header.applied,
        at: time::dec(header.at_ns, "at_ns")?,
        hash: hash::dec(header.hash, "hash")?,
    })
}

/// Takes what stands behind its length off the front.
fn cut<'a>(bytes: &mut &'a [u8], name: &str) -> Result<&'a [u8], DecodeError> {
    let damaged = |error| DecodeError::new(name, Why::Damaged(error));
    let len = prost::decode_length_delimiter(&mut *bytes).map_err(damaged)?;
    let (part, rest) =
        bytes.split_at_checked(len).ok_or_else(|| DecodeError::new(name, Why::Not("whole")))?;
    *bytes = rest;
    Ok(part)
}

fn check_level(found: u32, name: &str) -> Result<(), DecodeError> {
    if (1..=LEVEL).contains(&found) {
        return Ok(());
    }
    Err(DecodeError::new(name, Why::UnknownLevel { found, known: LEVEL }))
}

fn read<M: Message + Default>(bytes: &[u8], name: &str) -> Result<M, DecodeError> {
    M::decode(bytes).map_err(|error| DecodeError::new(name, Why::Damaged(error)))
}

fn read_strictly<M: Message + Default>(bytes: &[u8], name: &str) -> Result<M, DecodeError> {
    let message: M = read(bytes, name)?;
    if message.encoded_len() == bytes.len() {
        return Ok(message);
    }
    Err(DecodeError::new(name, Why::UnknownFields))
}
