//! Why a call failed, as the caller acts on it.

use std::io::ErrorKind;

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
    /// The connection broke before the answer came. What was asked for may have happened.
    #[error(
        "the connection to {target} broke before the answer: {reason}; look whether a change happened before you repeat it"
    )]
    Interrupted {
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
    /// Several are named so, or have ids that start so.
    #[error("{kind} {name} is ambiguous: {count} match it; give a whole id")]
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
    /// Whether what was asked for is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self {
            Self::NotFound { .. } => true,
            Self::Refused(status) => status.code() == Code::NotFound,
            _ => false,
        }
    }

    /// Whether the state of what was asked for forbids it, as that something uses it.
    #[must_use]
    pub fn is_in_the_way(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::FailedPrecondition)
    }

    pub(crate) fn of(target: &str, status: Status) -> Self {
        let target = target.to_owned();
        match broken(&status) {
            Some(Broken { reason, connected: false }) => Self::Unreachable { target, reason },
            Some(Broken { reason, connected: true }) => Self::Interrupted { target, reason },
            // What answers so is a server that does not know the call.
            None if status.message().is_empty() => {
                let text = format!(
                    "{target} does not serve this ({}); use the same version on both sides",
                    status.code()
                );
                Self::Refused(Box::new(Status::new(status.code(), text)))
            }
            None => Self::Refused(Box::new(status)),
        }
    }
}

/// A call that ended without an answer.
pub(crate) struct Broken {
    reason: String,
    /// Whether the call may have arrived.
    pub(crate) connected: bool,
}

/// How the transport failed; `None` for an answer. A status that carries an error was made on
/// this side.
pub(crate) fn broken(status: &Status) -> Option<Broken> {
    let reason = innermost(std::error::Error::source(status)?);
    Some(Broken { connected: !could_not_connect(status), reason })
}

fn could_not_connect(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::PermissionDenied
            );
        }
        source = error.source();
    }
    status.code() == Code::Unavailable
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_without_a_text_says_what_it_is() {
        let refused = ClientError::of("the daemon", Status::new(Code::Unimplemented, ""));

        let text = refused.to_string();
        assert!(text.starts_with("the daemon does not serve this"), "{text}");
    }

    #[test]
    fn what_somebody_else_did_first_is_told_apart_from_a_failure() {
        let refused = |code| ClientError::of("the daemon", Status::new(code, "why"));

        let told = |error: ClientError| (error.is_missing(), error.is_in_the_way());

        assert_eq!(told(refused(Code::NotFound)), (true, false));
        assert_eq!(told(refused(Code::FailedPrecondition)), (false, true));
        for code in [Code::Internal, Code::Unavailable, Code::DeadlineExceeded] {
            assert_eq!(told(refused(code)), (false, false));
        }
    }
}
