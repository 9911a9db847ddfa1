//! How a refusal looks to a client: a status code per thing the caller does differently.

use std::time::Duration;

use swarm_raft::{MembershipError, ProposeError, ReadError};
use swarm_types::Refusal;
use tonic::{Code, Status};

/// Trailer that says after how many milliseconds a busy manager may be asked again.
pub(crate) const RETRY_AFTER: &str = "retry-after-ms";

/// A part of the time in which another manager begins to lead: callers try a few times.
const ELECTION: Duration = Duration::from_millis(600);

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
        // A store that stopped may have written it first.
        ProposeError::Unknown { .. } | ProposeError::Stopped(_) => {
            Status::deadline_exceeded(format!(
                "{text}; the change may still happen: look whether it did before you repeat it, or repeat it with the same request id"
            ))
        }
        ProposeError::TooLarge { .. } => Status::invalid_argument(text),
        ProposeError::NotLeader { .. } => {
            let text = format!("{text}; nothing was changed: try again");
            later(Status::unavailable(text), ELECTION)
        }
    }
}

pub(crate) fn not_read(error: &ReadError) -> Status {
    match error {
        ReadError::Busy { retry_after } => busy(error.to_string(), *retry_after),
        _ => Status::unavailable(format!(
            "{error}; try again, or read what this manager has with --stale"
        )),
    }
}

pub(crate) fn not_changed(error: &MembershipError) -> Status {
    let text = error.to_string();
    match error {
        MembershipError::Busy { retry_after } => busy(text, *retry_after),
        MembershipError::NotLeader { .. } | MembershipError::Behind { .. } => {
            Status::unavailable(text)
        }
        MembershipError::Quorum { .. }
        | MembershipError::Unreachable { .. }
        | MembershipError::Ahead { .. }
        | MembershipError::LastManager => Status::failed_precondition(text),
        MembershipError::Removed { .. } => Status::aborted(text),
        // It may be repeated.
        MembershipError::Unknown { .. } | MembershipError::Stopped(_) => {
            Status::deadline_exceeded(text)
        }
    }
}

fn busy(text: String, retry_after: Duration) -> Status {
    later(Status::resource_exhausted(text), retry_after)
}

/// Asks the caller to try again after that time.
fn later(mut status: Status, retry_after: Duration) -> Status {
    let millis = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
    status.metadata_mut().insert(RETRY_AFTER, millis.into());
    status
}

#[cfg(test)]
mod tests {
    use swarm_raft::StopReason;
    use swarm_types::IdSource;

    use super::*;

    #[test]
    fn each_outcome_has_its_code() {
        let ids = &mut IdSource::seeded(1);
        let second = Duration::from_secs(1);
        let stale = Refusal::Stale {
            object: swarm_types::ObjectId::Service(ids.draw()),
            expected: 1,
            found: 2,
        };
        let taken = Refusal::NameTaken { kind: "service".to_owned(), name: "web".to_owned() };
        for (error, code) in [
            (ProposeError::NotLeader { leader: None }, Code::Unavailable),
            (ProposeError::Busy { retry_after: second }, Code::ResourceExhausted),
            (ProposeError::TooLarge { size: 2, limit: 1 }, Code::InvalidArgument),
            (ProposeError::Unknown { waited: second }, Code::DeadlineExceeded),
            (ProposeError::Stopped(StopReason::ShutDown), Code::DeadlineExceeded),
            (ProposeError::Refused(stale), Code::FailedPrecondition),
            (ProposeError::Refused(taken), Code::AlreadyExists),
            (ProposeError::Refused(Refusal::Invalid(String::new())), Code::InvalidArgument),
        ] {
            assert_eq!(not_proposed(&error).code(), code, "{error}");
        }
    }

    #[test]
    fn a_busy_manager_says_when_to_ask_again() {
        let status = not_read(&ReadError::Busy { retry_after: Duration::from_millis(50) });

        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.metadata().get(RETRY_AFTER).unwrap(), "50");
    }
}
