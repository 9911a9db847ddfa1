//! Repeating a change whose outcome is unknown. Safe because it carries its request id; a call
//! without one is made once.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tonic::{Code, Response, Status};

use crate::error::broken;
use crate::{CALL_DEADLINE, Client, ClientError};

/// Attempts of a call before its error is passed on.
const ATTEMPTS: u32 = 5;
/// Longest pause a busy manager can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long somebody else is waited for to lead.
const ELECTION: Duration = Duration::from_secs(5);
/// Pause after a connection broke.
const RECONNECT: Duration = Duration::from_millis(200);

impl Client {
    /// Makes a call, at most [`ATTEMPTS`] times while repeating it may help, and not counting
    /// those within [`ELECTION`] that nobody could take.
    pub(crate) async fn call<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let (mut interrupted, mut elected, mut attempts) = (None, None, 1);
        while attempts < ATTEMPTS {
            let status = match timeout(CALL_DEADLINE, attempt()).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => status,
                // Who says nothing for that long says nothing the next time.
                Err(_) => return Err(ClientError::of(&self.target, unanswered(CALL_DEADLINE))),
            };
            let gone = interrupted.is_some() && broken(&status).is_some();
            let Some(pause) = pause(&status).or(gone.then_some(RECONNECT)) else {
                return Err(ClientError::of(&self.target, status));
            };
            if nobody_took(&status) {
                let now = Instant::now();
                if now + pause >= *elected.get_or_insert(now + ELECTION) {
                    return Err(self.given_up(status, interrupted));
                }
            } else {
                attempts += 1;
            }
            tokio::time::sleep(pause).await;
            if broken(&status).is_some_and(|broken| broken.connected) {
                interrupted = Some(status);
            }
        }
        let last = once(attempt(), CALL_DEADLINE).await;
        last.map_err(|status| self.given_up(status, interrupted))
    }

    /// That nobody is there, or leads, any more says nothing about what became of an attempt
    /// before.
    fn given_up(&self, last: Status, interrupted: Option<Status>) -> ClientError {
        let silent = broken(&last).is_some() || nobody_took(&last);
        ClientError::of(&self.target, interrupted.filter(|_| silent).unwrap_or(last))
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
    match timeout(deadline, call).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(unanswered(deadline)),
    }
}

fn unanswered(deadline: Duration) -> Status {
    Status::deadline_exceeded(format!(
        "no answer within {} s; look whether a change happened before you repeat it",
        deadline.as_secs()
    ))
}

/// Whether the manager answered that nobody there can take the call now.
fn nobody_took(status: &Status) -> bool {
    status.code() == Code::Unavailable && broken(status).is_none()
}

/// How long to wait before the next attempt; `None` when repeating cannot help.
fn pause(status: &Status) -> Option<Duration> {
    if broken(status).is_some_and(|broken| broken.connected) {
        return Some(RECONNECT);
    }
    let asked = status.metadata().get("retry-after-ms").and_then(|value| value.to_str().ok());
    match status.code() {
        // The manager says when, and that nothing was done.
        Code::ResourceExhausted | Code::Unavailable => {
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

    /// How long the call took, how often it was made, and whether it was done.
    async fn made(mut answer: impl FnMut(u32) -> Result<(), Status>) -> (Duration, u32, bool) {
        let client = Client::unix(std::path::Path::new("/nowhere"));
        let (began, mut made) = (Instant::now(), 0);
        let done = client.call(|| {
            made += 1;
            std::future::ready(answer(made).map(Response::new))
        });
        let done = done.await.is_ok();
        (began.elapsed(), made, done)
    }

    fn nobody_leads() -> Status {
        let mut status = Status::unavailable("no leader");
        status.metadata_mut().insert("retry-after-ms", 600.into());
        status
    }

    #[tokio::test(start_paused = true)]
    async fn an_election_is_waited_for_but_not_for_ever() {
        let elected = made(|attempt| if attempt < 8 { Err(nobody_leads()) } else { Ok(()) }).await;
        let never = made(|_| Err(nobody_leads())).await;

        assert_eq!(elected, (Duration::from_millis(7 * 600), 8, true));
        assert_eq!(never, (Duration::from_millis(8 * 600), 9, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_manager_is_asked_a_few_times() {
        let busy = || {
            let mut status = Status::resource_exhausted("busy");
            status.metadata_mut().insert("retry-after-ms", 50.into());
            status
        };

        assert_eq!(made(|_| Err(busy())).await, (Duration::from_millis(200), ATTEMPTS, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_says_nothing_is_waited_for_once() {
        let client = Client::unix(std::path::Path::new("/nowhere"));
        let began = Instant::now();

        let asked = client.call(std::future::pending::<Result<Response<()>, Status>>);
        let error = asked.await.unwrap_err();

        assert_eq!(began.elapsed(), CALL_DEADLINE);
        assert!(error.to_string().contains("no answer within 30 s"), "{error}");
    }

    #[test]
    fn only_what_repeating_can_mend_is_repeated() {
        let mut busy = Status::resource_exhausted("busy");
        assert_eq!(pause(&busy), None);
        busy.metadata_mut().insert("retry-after-ms", 50.into());
        assert_eq!(pause(&busy), Some(Duration::from_millis(50)));
        assert_eq!(pause(&nobody_leads()), Some(Duration::from_millis(600)));
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
