//! `Logs`: what tasks that run here wrote. Each task is read on its own; one that cannot be read is
//! told.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use swarm_proto::{field, v1};
use swarm_runtime::{Error, Follow, LogLine, LogPlace, LogQuery, LogStream, Runtime, Streams};
use swarm_types::TaskId;
use tokio::task::JoinSet;
use tonic::Status;
use v1::logs_response::What;

use super::Sender;
use crate::nanos;

/// What a request asks of each task.
pub(super) fn query(request: &v1::LogsRequest) -> Result<LogQuery, Status> {
    let streams = match (request.stdout, request.stderr) {
        (true, true) => Streams::Both,
        (true, false) => Streams::Stdout,
        (false, true) => Streams::Stderr,
        (false, false) => {
            return Err(Status::invalid_argument("neither stdout nor stderr is asked for"));
        }
    };
    let follow = if request.follow { Follow::UntilEnd } else { Follow::No };
    let (since, until) = (request.since_ns.map(time), request.until_ns.map(time));
    Ok(LogQuery { streams, follow, tail: request.tail, since, until, after: None })
}

/// Where reading goes on, of tasks that were read before.
pub(super) fn places(request: &v1::LogsRequest) -> Result<BTreeMap<TaskId, LogPlace>, Status> {
    let read = |after: &v1::LogPlace| {
        let task = super::task_id(&after.task)?;
        let place = LogPlace::decode(&after.place);
        let place = place.ok_or_else(|| Status::invalid_argument("a place that is none"))?;
        Ok((task, place))
    };
    request.after.iter().map(read).collect()
}

/// Reads all of them at once, each in order.
pub(super) async fn all(
    runtime: Runtime,
    tasks: Vec<TaskId>,
    query: LogQuery,
    places: BTreeMap<TaskId, LogPlace>,
    sender: Sender<v1::LogsResponse>,
) -> Result<(), Status> {
    // Dropping it ends the readers.
    let mut readers = JoinSet::new();
    for task in tasks {
        let (runtime, sender) = (runtime.clone(), sender.clone());
        let query = LogQuery { after: places.get(&task).copied(), ..query };
        readers.spawn(async move {
            let task_id = field::put_id(task);
            let end = match one(&runtime, task, &query, &sender).await {
                Ok(()) => What::Ended(task_id),
                Err(error) => {
                    What::Failure(v1::LogsFailure { task: task_id, why: error.to_string() })
                }
            };
            send(&sender, end).await;
        });
    }
    while readers.join_next().await.is_some() {}
    Ok(())
}

async fn one(
    runtime: &Runtime,
    task: TaskId,
    query: &LogQuery,
    sender: &Sender<v1::LogsResponse>,
) -> Result<(), Error> {
    let mut reader = runtime.logs(task.as_str(), query).await?;
    while let Some(lines) = reader.next().await? {
        let lines = lines.into_iter().map(shown).collect();
        let place = reader.place().map(|place| place.encode()).unwrap_or_default();
        send(sender, What::Lines(v1::LogLines { task: field::put_id(task), lines, place })).await;
    }
    Ok(())
}

/// A caller that went away is noticed by whoever owns the readers.
async fn send(sender: &Sender<v1::LogsResponse>, what: What) {
    let _ = sender.send(Ok(v1::LogsResponse { what: Some(what) })).await;
}

fn shown(line: LogLine) -> v1::LogLine {
    let stream = match line.stream {
        LogStream::Stdout => v1::LogStream::Stdout,
        LogStream::Stderr => v1::LogStream::Stderr,
    };
    let LogLine { at, data, partial, .. } = line;
    v1::LogLine { at_ns: nanos(at), stream: stream.into(), data, partial }
}

fn time(nanos: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_which_streams() {
        let ask = |stdout, stderr| v1::LogsRequest { stdout, stderr, ..Default::default() };
        assert_eq!(query(&ask(true, true)).unwrap(), LogQuery::default());
        assert_eq!(query(&ask(false, true)).unwrap().streams, Streams::Stderr);
        let refusal = query(&ask(false, false)).unwrap_err();
        assert_eq!(refusal.code(), tonic::Code::InvalidArgument);
        let forged = v1::LogPlace { task: vec![b'0'; 25], place: vec![1] };
        let forged = v1::LogsRequest { after: vec![forged], ..ask(true, true) };
        assert_eq!(places(&forged).unwrap_err().code(), tonic::Code::InvalidArgument);
        let since = v1::LogsRequest { since_ns: Some(-5), ..ask(true, true) };
        assert_eq!(query(&since).unwrap().since, Some(UNIX_EPOCH));
    }
}
