//! Waiting until a service runs as its spec says.
//!
//! A service has settled when as many of its tasks run as are wanted, all of them from the
//! present spec, and none that is not wanted is left running. There is no deadline: a service
//! that cannot be placed waits until it can, and its progress says why. Drop the future to stop.

use std::time::Duration;

use swarm_types::{ServiceId, Task, TaskState};

use crate::services::TaskFilter;
use crate::{Client, ClientError, Consistency};

/// Time between two looks.
const POLL: Duration = Duration::from_millis(100);

/// How far a service has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Tasks that run and are wanted.
    pub running: u64,
    /// Tasks there should be.
    pub wanted: u64,
    /// What the first task that does not run says is wrong.
    pub error: Option<String>,
}

impl Client {
    /// Returns once the service has settled; tells every look's result to `progress`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the service is gone, beside those of [`Self::services`].
    pub async fn wait_settled(
        &self,
        id: ServiceId,
        mut progress: impl FnMut(&Progress),
    ) -> Result<(), ClientError> {
        let filter = TaskFilter { services: vec![id], ..TaskFilter::default() };
        loop {
            let row = self.service_row(id).await?;
            let tasks = self.tasks(&filter, Consistency::Linearizable).await?.value;
            progress(&Progress { running: row.running, wanted: row.desired, error: error(&tasks) });
            if row.running == row.desired && !tasks.iter().any(leaving) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// True for a task that is on its way out and not gone yet.
fn leaving(task: &Task) -> bool {
    !task.wanted() && !task.status.state.is_terminal()
}

fn error(tasks: &[Task]) -> Option<String> {
    let waits = |task: &&Task| task.wanted() && task.status.state != TaskState::Running;
    let mut errors = tasks.iter().filter(waits).map(|task| &task.status.err);
    errors.find(|error| !error.is_empty()).cloned()
}
