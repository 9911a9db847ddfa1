//! Repeating a change whose outcome is unknown. Safe because it carries its request id; a call
//! without one is made once.

use std::future::Future;
use std::time::Duration;

use tonic::{Code, Response, Status};

use crate::error::broken;
use crate::{CALL_DEADLINE, Client, ClientError};

/// Attempts of a call before its error is passed on.
const ATTEMPTS: u32 = 5;
/// Longest pause a busy manager can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Pause after a connection broke.
const RECONNECT: Duration = Duration::from_millis(200);

impl Client {
    /// Makes a call, at most [`ATTEMPTS`] times while repeating it may help.
    pub(crate) async fn call<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut interrupted = None;
        for _ in 1..ATTEMPTS {
            let status = match once(attempt(), CALL_DEADLINE).await {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            let gone = interrupted.is_some() && broken(&status).is_some();
            match pause(&status).or(gone.then_some(RECONNECT)) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(ClientError::of(&self.target, status)),
            }
            if broken(&status).is_some_and(|broken| broken.connected) {
                interrupted = Some(status);
            }
        }
        let last = once(attempt(), CALL_DEADLINE).await;
        last.map_err(|status| match (broken(&status), interrupted) {
            // That nobody is there any more says nothing about what became of the call.
            (Some(_), Some(interrupted)) => ClientError::of(&self.target, interrupted),
            _ => ClientError::of(&self.target, status),
        })
    }

    /// Makes a call that must not be repeated.
    pub(crate) async fn call_once<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
        deadline: Duration,
    ) -> Result<T, ClientError> {
        once(call, deadline).await.map_err(|status| ClientError::of(&self.target, status))
    }

    pub(crate) fn unreadable(&self, source: swarm_proto::DecodeError) -> ClientError {
        ClientError::Unreadable { target: self.target.clone(), source }
    }
}

async fn once<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
    deadline: Duration,
) -> Result<T, Status> {
    match tokio::time::timeout(deadline, call).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded(format!(
            "no answer within {} s; look whether a change happened before you repeat it",
            deadline.as_secs()
        ))),
    }
}

/// How long to wait before the next attempt; `None` when repeating cannot help.
fn pause(status: &Status) -> Option<Duration> {
    if broken(status).is_some_and(|broken| broken.connected) {
        return Some(RECONNECT);
    }
    let asked = status.metadata().get("retry-after-ms").and_then(|value| value.to_str().ok());
    match status.code() {
        Code::ResourceExhausted => {
            let asked = asked.and_then(|text| text.parse().ok()).map(Duration::from_millis);
            asked.map(|pause| pause.min(LONGEST_PAUSE))
        }
        Code::DeadlineExceeded => Some(Duration::from_millis(100)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_repeating_can_mend_is_repeated() {
        let mut busy = Status::resource_exhausted("busy");
        assert_eq!(pause(&busy), None);
        busy.metadata_mut().insert("retry-after-ms", 50.into());
        assert_eq!(pause(&busy), Some(Duration::from_millis(50)));
        busy.metadata_mut().insert("retry-after-ms", 3_600_000.into());
        assert_eq!(pause(&busy), Some(LONGEST_PAUSE));
        assert!(pause(&Status::deadline_exceeded("?")).is_some());
        for status in
            [Status::invalid_argument("x"), Status::not_found("x"), Status::unavailable("x")]
        {
            assert_eq!(pause(&status), None);
        }
    }
}
