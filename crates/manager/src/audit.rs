//! The trace that every changing call leaves: who asked for what, and what came of it.

use std::fmt::Display;

use tonic::{Response, Status};

use crate::access::Caller;

/// Most characters of a part that are shown.
const MOST_SHOWN: usize = 256;

/// The trace of one call. Left when it is dropped, so also for a caller who hangs up: the
/// change may go on without him.
#[derive(Debug)]
pub(crate) struct Audit {
    call: &'static str,
    caller: String,
    request: String,
    object: String,
    outcome: Option<String>,
}

impl Audit {
    pub(crate) fn new(
        call: &'static str,
        caller: &Result<Caller, Status>,
        request: &Result<impl Display, Status>,
        object: &Result<impl Display, Status>,
    ) -> Self {
        let [caller, request, object] = [shown(caller), shown(request), shown(object)];
        Self { call, caller, request, object, outcome: None }
    }

    /// Makes the call and notes its outcome.
    pub(crate) async fn end<T>(
        mut self,
        call: impl Future<Output = Result<T, Status>> + Send,
    ) -> Result<Response<T>, Status> {
        let result = call.await;
        self.outcome = Some(match &result {
            Ok(_) => "done".to_owned(),
            Err(status) => format!("{:?}: {}", status.code(), status.message()),
        });
        result.map(Response::new)
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let Self { call, caller, request, object, outcome } = self;
        let outcome = outcome.as_deref().unwrap_or("unknown: the caller hung up");
        tracing::info!(target: "swarm::audit", call, caller, request, object, outcome, "change");
    }
}

/// What a caller wrote is shown before anybody knows who calls: a stranger must not fill the log.
fn shown(part: &Result<impl Display, Status>) -> String {
    let whole =
        part.as_ref().map_or_else(|refusal| refusal.message().to_owned(), ToString::to_string);
    match whole.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}...", &whole[..end]),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_caller_fills_the_log() {
        let short: Result<&str, Status> = Ok("web");
        let long: Result<String, Status> = Ok("\u{fc}".repeat(1 << 20));
        let refused: Result<&str, Status> = Err(Status::not_found("n".repeat(1 << 20)));

        assert_eq!(shown(&short), "web");
        assert_eq!(shown(&long), format!("{}...", "\u{fc}".repeat(MOST_SHOWN)));
        assert_eq!(shown(&refused), format!("{}...", "n".repeat(MOST_SHOWN)));
    }
}
