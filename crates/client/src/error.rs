//! Why a call failed, as the caller acts on it.

use swarm_proto::DecodeError;
use tonic::{Code, Status};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answered. Start the daemon, or name another socket.
    #[error(
        "cannot reach {target}: {reason}; is it running? (`--socket` or SWARM_SOCKET names another)"
    )]
    Unreachable {
        /// Who was called.
        target: String,
        /// What the transport said.
        reason: String,
    },
    /// Nothing has that id, name or start of an id.
    #[error("no such {kind}: {name}")]
    NotFound {
        /// Kind of object.
        kind: &'static str,
        /// What was asked for.
        name: String,
    },
    /// Several ids start like that.
    #[error("{kind} {name} is ambiguous: {count} ids start with it")]
    Ambiguous {
        /// Kind of object.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// How many.
        count: usize,
    },
    /// The cluster refused; the text says why and what to do.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    /// The answer does not make sense to this version.
    #[error("the answer of {target} cannot be read: {source}; use the same version on both sides")]
    Unreadable {
        /// Who answered.
        target: String,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The archive could not be read on this side.
    #[error("read the archive")]
    Archive(#[source] std::io::Error),
}

impl ClientError {
    pub(crate) fn of(target: &str, status: Status) -> Self {
        // A status that carries a transport error was made on this side.
        let transport = std::error::Error::source(&status).map(innermost);
        match transport {
            Some(reason) if status.code() == Code::Unavailable => {
                Self::Unreachable { target: target.to_owned(), reason }
            }
            _ => Self::Refused(Box::new(status)),
        }
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
