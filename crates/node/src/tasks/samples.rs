//! Stats of several nodes as one: each node is sampled on its own, and what each told last makes
//! a sample of all. A node that tells nothing is named in it; it holds the others up once.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use swarm_proto::{field, v1};
use swarm_types::{NodeId, TaskId};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tonic::Status;

use super::Sender;
use super::remote::{ANSWER, Remote};
use super::stats::PERIOD;
use crate::Inner;

/// How long a node may take for a sample.
const SAMPLE: Duration = Duration::from_secs(5);

/// Where a node's samples go.
pub(super) type Latest = watch::Sender<v1::StatsResponse>;

/// Samples of nodes, each by a task that ends with this.
#[derive(Default)]
pub(super) struct Samples {
    nodes: Vec<OneNode>,
    samplers: JoinSet<()>,
}

/// Samples of one node.
struct OneNode {
    /// For people.
    name: String,
    latest: watch::Receiver<v1::StatsResponse>,
    is_silent: bool,
}

impl Samples {
    /// Adds those of a node.
    pub(super) fn add<F>(&mut self, name: String, sample: impl FnOnce(Latest) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, latest) = watch::channel(v1::StatsResponse::default());
        self.samplers.spawn(sample(sender));
        self.nodes.push(OneNode { name, latest, is_silent: false });
    }

    /// Sends one sample of all of them, or one each second.
    pub(super) async fn merge(
        mut self,
        follow: bool,
        sender: Sender<v1::StatsResponse>,
    ) -> Result<(), Status> {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut all = v1::StatsResponse::default();
            for one in join_all(self.nodes.iter_mut().map(OneNode::next)).await {
                all.tasks.extend(one.tasks);
                all.missing.extend(one.missing);
            }
            if sender.send(Ok(all)).await.is_err() || !follow {
                return Ok(());
            }
        }
    }
}

impl OneNode {
    /// What it told since the last time, or that it told nothing.
    async fn next(&mut self) -> v1::StatsResponse {
        let patience = if self.is_silent { Duration::ZERO } else { SAMPLE };
        let told = timeout(patience, self.latest.changed()).await;
        self.is_silent = !matches!(told, Ok(Ok(())));
        if self.is_silent {
            let why = format!("{}: no sample within {} s", self.name, SAMPLE.as_secs());
            return missing(why);
        }
        self.latest.borrow_and_update().clone()
    }
}

/// Samples another node's tasks; tries again for as long as somebody follows.
pub(super) async fn far(
    inner: Arc<Inner>,
    node: NodeId,
    tasks: Vec<TaskId>,
    follow: bool,
    latest: Latest,
) {
    let tasks = tasks.into_iter().map(field::put_id).collect();
    let request = v1::StatsRequest { tasks, follow };
    loop {
        if let Err(failed) = once(&inner, node, request.clone(), &latest).await {
            latest.send_replace(missing(failed.message().to_owned()));
        }
        if !follow {
            return;
        }
        sleep(PERIOD).await;
    }
}

async fn once(
    inner: &Inner,
    node: NodeId,
    request: v1::StatsRequest,
    latest: &Latest,
) -> Result<(), Status> {
    let remote = Remote::find(inner, node).await?;
    let mut client = remote.client();
    let call = client.stats(remote.request(request)?);
    let mut samples = remote.answer(Instant::now() + ANSWER, call).await?;
    while let Some(sample) = remote.next(&mut samples).await? {
        latest.send_replace(sample);
    }
    Ok(())
}

/// A sample without a node.
pub(super) fn missing(why: String) -> v1::StatsResponse {
    v1::StatsResponse { tasks: Vec::new(), missing: vec![why] }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn sample(task: u8) -> v1::StatsResponse {
        let tasks = vec![v1::TaskStats { task: vec![task], ..Default::default() }];
        v1::StatsResponse { tasks, missing: Vec::new() }
    }

    /// Tells a sample each second.
    async fn lively(latest: Latest) {
        loop {
            latest.send_replace(sample(1));
            sleep(PERIOD).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_node_is_named_and_the_others_go_on_each_second() {
        let (sender, mut merged) = mpsc::channel(1);
        let mut samples = Samples::default();
        samples.add("node w1".into(), lively);
        samples.add("node w2".into(), |latest| async move {
            sleep(Duration::from_secs(8)).await;
            lively(latest).await;
        });
        let all = tokio::spawn(samples.merge(true, sender));

        let mut came = Vec::new();
        let began = Instant::now();
        for _ in 0..12 {
            let sample: v1::StatsResponse = merged.recv().await.unwrap().unwrap();
            came.push((began.elapsed().as_secs(), sample.tasks.len(), sample.missing));
        }
        all.abort();

        let why = vec!["node w2: no sample within 5 s".to_owned()];
        assert_eq!(came[0], (5, 1, why.clone()));
        assert!(came[1..3].iter().all(|it| it.1 == 1 && it.2 == why), "{came:?}");
        assert_eq!((came[11].1, came[11].2.len()), (2, 0), "{came:?}");
        let slow = came.windows(2).find(|pair| pair[1].0 - pair[0].0 > 2);
        assert_eq!(slow, None, "{came:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_sample_is_one_of_each() {
        let (sender, mut merged) = mpsc::channel(1);
        let mut samples = Samples::default();
        samples.add("this node".into(), lively);
        samples.add("node w1".into(), |latest| async move {
            latest.send_replace(missing("node w1: it is down".into()));
        });

        samples.merge(false, sender).await.unwrap();

        let sample = merged.recv().await.unwrap().unwrap();
        assert_eq!(sample.tasks.len(), 1);
        assert_eq!(sample.missing, ["node w1: it is down"]);
        assert!(merged.recv().await.is_none());
    }
}
