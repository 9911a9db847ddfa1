//! What a snapshot of the replicated state consists of, in the order it is written.

use crate::{Object, Refusal, RequestId, Timestamp};

/// One record of a snapshot. The header comes first. Objects come in any order, requests in the
/// order they were applied in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// Where in the log the snapshot was taken.
    Header(SnapshotHeader),
    /// An object. Tasks that share a template share it on disk too.
    Object(Object),
    /// A request that may still be retried.
    Request(RememberedRequest),
}

/// Where in the log a snapshot was taken, and what the state was worth there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SnapshotHeader {
    /// Index of the last entry applied; 0 before the first.
    pub applied: u64,
    /// The clamped clock of the state: the largest `Entry.at` seen.
    pub at: Timestamp,
    /// The state hash there.
    pub hash: [u8; 32],
}

/// A request and its first result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RememberedRequest {
    /// The request.
    pub request: RequestId,
    /// When it was first applied, on the state's clock.
    pub at: Timestamp,
    /// Index of the entry that applied it, or why it was refused.
    pub outcome: Result<u64, Refusal>,
}
