//! Refusals, and the requests that remember them.

use swarm_types::{Refusal, RememberedRequest};

use crate::codec::{id, need, time};
use crate::v1::refusal as wire;
use crate::v1::remembered_request::Outcome;
use crate::{DecodeError, v1};

impl From<&Refusal> for v1::Refusal {
    fn from(it: &Refusal) -> Self {
        use wire::Refusal as Wire;
        let refusal = match it {
            Refusal::Stale { object, expected, found } => Wire::Stale(wire::Stale {
                object: need::enc(object),
                expected: *expected,
                found: *found,
            }),
            Refusal::NotFound(object) => Wire::NotFound(object.into()),
            Refusal::Exists(object) => Wire::Exists(object.into()),
            Refusal::NameTaken { kind, name } => {
                Wire::NameTaken(wire::NameTaken { kind: kind.clone(), name: name.clone() })
            }
            Refusal::InUse { object, user } => {
                Wire::InUse(wire::InUse { object: need::enc(object), user: user.clone() })
            }
            Refusal::Superseded(session) => Wire::Superseded(id::enc(session)),
            Refusal::Invalid(text) => Wire::Invalid(text.clone()),
            Refusal::Panicked(text) => Wire::Panicked(text.clone()),
        };
        Self { refusal: Some(refusal) }
    }
}

impl TryFrom<v1::Refusal> for Refusal {
    type Error = DecodeError;
    fn try_from(it: v1::Refusal) -> Result<Self, DecodeError> {
        use wire::Refusal as Wire;
        Ok(match it.refusal.ok_or_else(|| DecodeError::missing("refusal"))? {
            Wire::Stale(it) => Self::Stale {
                object: need::dec(it.object, "stale.object")?,
                expected: it.expected,
                found: it.found,
            },
            Wire::NotFound(it) => Self::NotFound(need::dec(Some(it), "not_found")?),
            Wire::Exists(it) => Self::Exists(need::dec(Some(it), "exists")?),
            Wire::NameTaken(it) => Self::NameTaken { kind: it.kind, name: it.name },
            Wire::InUse(it) => {
                Self::InUse { object: need::dec(it.object, "in_use.object")?, user: it.user }
            }
            Wire::Superseded(it) => Self::Superseded(id::dec(it, "superseded")?),
            Wire::Invalid(text) => Self::Invalid(text),
            Wire::Panicked(text) => Self::Panicked(text),
        })
    }
}

impl From<&RememberedRequest> for v1::RememberedRequest {
    fn from(it: &RememberedRequest) -> Self {
        let outcome = match &it.outcome {
            Ok(index) => Outcome::Applied(*index),
            Err(refusal) => Outcome::Refused(refusal.into()),
        };
        Self { request: id::enc(&it.request), at_ns: time::enc(&it.at), outcome: Some(outcome) }
    }
}

impl TryFrom<v1::RememberedRequest> for RememberedRequest {
    type Error = DecodeError;
    fn try_from(it: v1::RememberedRequest) -> Result<Self, DecodeError> {
        let outcome = match it.outcome.ok_or_else(|| DecodeError::missing("outcome"))? {
            Outcome::Applied(index) => Ok(index),
            Outcome::Refused(refusal) => Err(need::dec(Some(refusal), "refused")?),
        };
        Ok(Self {
            request: id::dec(it.request, "request")?,
            at: time::dec(it.at_ns, "at_ns")?,
            outcome,
        })
    }
}
