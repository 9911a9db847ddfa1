//! Why a message is not a value of ours, and where in it.

use std::fmt::Write as _;

/// A message that cannot be what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct DecodeError {
    /// The field, from the outermost message in, such as `groups[2].changes[0].create_task.id`.
    pub path: String,
    /// What is wrong with it.
    pub why: Why,
}

/// What is wrong with a field. Never quotes the field's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// A required part, or every case of a oneof that this version knows, is absent.
    #[error("is missing, or of a kind this version does not know")]
    Missing,
    /// An enum has a number this version does not know; 0 stands for one not given.
    #[error("{0} is not a value this version knows")]
    UnknownNumber(i32),
    /// Written by a newer version. Only an upgrade helps.
    #[error("is of level {found}, this version knows levels 1 to {known}: upgrade this node")]
    UnknownLevel {
        /// Level of what was read; 0 when it has none.
        found: u32,
        /// Highest level of this version.
        known: u32,
    },
    /// Well formed, with fields this version does not know or in a form it does not write.
    #[error("holds fields this version does not know: upgrade this node")]
    UnknownFields,
    /// The value is not of the form that is named.
    #[error("is not {0}")]
    Not(&'static str),
    /// Not a message at all: damaged or cut short.
    #[error("is damaged: {0}")]
    Damaged(#[from] prost::DecodeError),
}

impl DecodeError {
    pub(crate) fn new(path: impl Into<String>, why: Why) -> Self {
        Self { path: path.into(), why }
    }

    pub(crate) fn missing(path: &str) -> Self {
        Self::new(path, Why::Missing)
    }

    /// The same, seen from the message that holds the value as `field`.
    pub(crate) fn within(mut self, field: &str) -> Self {
        self.path.insert(0, '.');
        self.path.insert_str(0, field);
        self
    }

    /// The same, seen from the message that holds the value as one of many.
    pub(crate) fn within_list(self, field: &str, position: usize) -> Self {
        let mut name = field.to_owned();
        // Writing to a String cannot fail.
        let _ = write!(name, "[{position}]");
        self.within(&name)
    }
}

/// A call with such a message is refused as `INVALID_ARGUMENT`.
impl From<DecodeError> for tonic::Status {
    fn from(error: DecodeError) -> Self {
        Self::invalid_argument(error.to_string())
    }
}
