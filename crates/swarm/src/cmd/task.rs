//! Tasks that commands are pointed at: finding one by what was typed, and saying where one
//! stands that the command can do nothing with.

use swarm_client::{Client, ClientError, Consistency};
use swarm_types::text::short_id;
use swarm_types::{Task, Timestamp};

use crate::view::{ago, task_table};

/// The task of that name, for a command that wants one that runs. `instead` is the command for
/// whole services, such as `swarm service logs`.
pub(super) async fn find(wanted: &str, instead: &str, client: &Client) -> anyhow::Result<Task> {
    let found = client.task(wanted, Consistency::Linearizable).await;
    or_service(found, instead, client).await
}

/// Says so when what was meant is a service.
pub(super) async fn or_service(
    found: Result<Task, ClientError>,
    instead: &str,
    client: &Client,
) -> anyhow::Result<Task> {
    let error = match found {
        Ok(task) => return Ok(task),
        Err(error) => error,
    };
    if let ClientError::NotFound { name, .. } = &error
        && client.service(name, Consistency::Stale).await.is_ok()
    {
        anyhow::bail!("{name} is a service, not a task: use `{instead} {name}`");
    }
    Err(error.into())
}

/// `web.1 (3kq9x8d5mzb1)`
pub(super) fn named(task: &Task) -> String {
    format!("{} ({})", task_table::name(task), short_id(task.id.as_str()))
}

/// `pending 2 minutes ago: no suitable node`
pub(super) fn standing(task: &Task, now: Timestamp) -> String {
    let status = &task.status;
    let why = if status.err.is_empty() { &status.message } else { &status.err };
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    format!("{} {}{why}", status.state.as_str(), ago(status.at, now))
}

#[cfg(test)]
mod tests {
    use swarm_types::TaskState;

    use super::*;
    use crate::view::fixture;

    #[test]
    fn a_task_is_named_and_says_where_it_stands() {
        let mut task = fixture::task(&fixture::service("web", 1), 1, 1);
        task.status.state = TaskState::Failed;
        task.status.message = "started".into();
        task.status.err = "task: non-zero exit (1)".into();

        let short = fixture::short_id::<swarm_types::TaskId>(1);
        assert_eq!(named(&task), format!("web.1 ({short})"));
        let told = standing(&task, fixture::at(120));
        assert_eq!(told, "failed 2 minutes ago: task: non-zero exit (1)");
        task.status.err.clear();
        assert_eq!(standing(&task, fixture::at(120)), "failed 2 minutes ago: started");
    }
}
