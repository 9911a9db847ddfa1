//! How a refusal looks to a client: a status code per thing the caller does differently.

use std::time::Duration;

use swarm_raft::{ProposeError, ReadError};
use swarm_types::Refusal;
use tonic::{Code, Status};

/// Trailer that says after how many milliseconds a busy manager may be asked again.
pub(crate) const RETRY_AFTER: &str = "retry-after-ms";

pub(crate) fn refused(refusal: &Refusal) -> Status {
    let code = match refusal {
        Refusal::NotFound(_) => Code::NotFound,
        Refusal::Exists(_) | Refusal::NameTaken { .. } => Code::AlreadyExists,
        Refusal::Stale { .. } | Refusal::InUse { .. } | Refusal::Superseded(_) => {
            Code::FailedPrecondition
        }
        Refusal::Invalid(_) => Code::InvalidArgument,
        Refusal::Panicked(_) => Code::Internal,
    };
    Status::new(code, refusal.to_string())
}

pub(crate) fn not_proposed(error: &ProposeError) -> Status {
    let text = error.to_string();
    match error {
        ProposeError::Refused(refusal) => refused(refusal),
        ProposeError::Busy { retry_after } => busy(text, *retry_after),
        ProposeError::Unknown { .. } => Status::deadline_exceeded(format!(
            "{text}; the change may still happen: repeat it with the same request id"
        )),
        ProposeError::TooLarge { .. } => Status::invalid_argument(text),
        ProposeError::NotLeader { .. } | ProposeError::Stopped(_) => Status::unavailable(text),
    }
}

pub(crate) fn not_read(error: &ReadError) -> Status {
    match error {
        ReadError::Busy { retry_after } => busy(error.to_string(), *retry_after),
        _ => Status::unavailable(format!("{error}; add --stale to read what this manager has")),
    }
}

fn busy(text: String, retry_after: Duration) -> Status {
    let mut status = Status::resource_exhausted(text);
    let millis = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
    status.metadata_mut().insert(RETRY_AFTER, millis.into());
    status
}
