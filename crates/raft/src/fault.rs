//! One place where whatever goes wrong for good is noted, and everybody is told.
//!
//! The first reason wins; nothing clears it.

use std::any::Any;
use std::sync::Arc;

use tokio::sync::watch;

use crate::error::StopReason;

/// Cheap handle on the place.
#[derive(Clone, Debug)]
pub(crate) struct Fault(Arc<watch::Sender<Option<StopReason>>>);

impl Default for Fault {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Fault {
    pub(crate) fn raise(&self, reason: StopReason) {
        self.0.send_if_modified(|noted| {
            let first = noted.is_none();
            if first {
                tracing::error!(%reason, "the raft store stops");
                *noted = Some(reason);
            }
            first
        });
    }

    /// Notes an orderly end, unless something went wrong before.
    pub(crate) fn shut_down(&self) {
        self.0.send_if_modified(|noted| {
            let first = noted.is_none();
            noted.get_or_insert(StopReason::ShutDown);
            first
        });
    }

    pub(crate) fn reason(&self) -> Option<StopReason> {
        self.0.borrow().clone()
    }

    /// The reason, for callers that know there is one or is about to be.
    pub(crate) fn stopped(&self) -> StopReason {
        self.reason().unwrap_or(StopReason::ShutDown)
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Option<StopReason>> {
        self.0.subscribe()
    }

    /// Resolves once there is a reason.
    pub(crate) async fn raised(&self) -> StopReason {
        let mut watch = self.watch();
        match watch.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(StopReason::ShutDown),
            Err(_) => StopReason::ShutDown,
        }
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
