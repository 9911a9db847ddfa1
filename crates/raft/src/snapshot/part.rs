//! How a snapshot travels: in the clear inside the managers' TLS, since each store has its own
//! key, in pieces that never hold more than one chunk of the file.

use prost::Message;

use crate::message::missing;
use crate::record::{Malformed, SnapshotMetaRecord, VoteRecord};
use crate::type_config::{SnapshotMeta, Vote};

/// A part of a snapshot on its way.
#[derive(Debug)]
pub(crate) enum Part {
    /// What it is, and how many chunks are left out at its beginning because they came before;
    /// first.
    Head(Vote, SnapshotMeta, u32),
    /// The next bytes; `true` when a chunk ends with them.
    Piece(Vec<u8>, bool),
    /// Digest of the bytes of all pieces; last.
    End([u8; 32]),
}

#[derive(Clone, PartialEq, Message)]
struct PartRecord {
    #[prost(oneof = "PartKind", tags = "1, 2, 3")]
    kind: Option<PartKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum PartKind {
    #[prost(message, tag = "1")]
    Head(HeadRecord),
    #[prost(message, tag = "2")]
    Piece(PieceRecord),
    #[prost(bytes, tag = "3")]
    End(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
struct HeadRecord {
    #[prost(message, required, tag = "1")]
    vote: VoteRecord,
    #[prost(message, required, tag = "2")]
    meta: SnapshotMetaRecord,
    #[prost(uint32, tag = "3")]
    skipped: u32,
}

#[derive(Clone, PartialEq, Message)]
struct PieceRecord {
    #[prost(bytes = "vec", tag = "1")]
    bytes: Vec<u8>,
    #[prost(bool, tag = "2")]
    ends: bool,
}

impl Part {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let kind = match self {
            Self::Head(vote, meta, skipped) => PartKind::Head(HeadRecord {
                vote: (*vote).into(),
                meta: meta.into(),
                skipped: *skipped,
            }),
            Self::Piece(bytes, ends) => {
                PartKind::Piece(PieceRecord { bytes: bytes.clone(), ends: *ends })
            }
            Self::End(digest) => PartKind::End(digest.to_vec()),
        };
        PartRecord { kind: Some(kind) }.encode_to_vec()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        Ok(match PartRecord::decode(bytes)?.kind.ok_or_else(missing)? {
            PartKind::Head(HeadRecord { vote, meta, skipped }) => {
                Self::Head(vote.into(), meta.try_into()?, skipped)
            }
            PartKind::Piece(piece) => Self::Piece(piece.bytes, piece.ends),
            PartKind::End(digest) => {
                let digest = digest.try_into();
                Self::End(digest.map_err(|_| Malformed::new("a digest has 32 bytes"))?)
            }
        })
    }
}
