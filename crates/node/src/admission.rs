//! Makes the store of this node a voting member: asks the other managers until it is one.
//!
//! A store that was let in may be out again, when its node was demoted and promoted anew: it does
//! not come back then, the node begins with another one. What this node knows of that is as old as
//! its log, so it asks as well whenever it hears no leader, or is looked for at an address where it
//! is not any more. To ask once too often changes nothing.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use swarm_crypto::tls::{self, Credentials};
use swarm_proto::v1;
use swarm_proto::v1::managers_client::ManagersClient;
use swarm_raft::{Info, Leadership, Raft};
use swarm_types::NodeId;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tonic::{Code, Status};

use crate::NodeError;

/// How long a manager may take to let a store in, until that has everything.
const ANSWER: Duration = Duration::from_secs(35);
/// How long a manager is waited for before the next is asked as well.
const PATIENCE: Duration = Duration::from_secs(3);
/// Pause after all were asked.
const PAUSE: Duration = Duration::from_secs(1);
/// Time between two looks whether there is a leader.
const LOOK: Duration = Duration::from_secs(2);
/// A member hears its leader several times a second.
const SILENCE: Duration = Duration::from_secs(5);

/// Asks for one store.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    pub(crate) node: NodeId,
    pub(crate) raft: Raft,
    pub(crate) credentials: Credentials,
    /// `HOST:PORT` at which the others reach this node's manager.
    pub(crate) addr: String,
    /// Managers it joined by, `HOST:PORT` each.
    pub(crate) known: Vec<String>,
}

impl Admission {
    /// Asks until the store votes, for that long at most.
    ///
    /// # Errors
    ///
    /// [`NodeError::NotAdmitted`] when it is refused for good, or did not come that far in time.
    pub(crate) async fn within(&self, time: Duration) -> Result<(), NodeError> {
        let deadline = Instant::now() + time;
        loop {
            let asked = timeout_at(deadline, self.ask_all()).await;
            let silent = || Status::deadline_exceeded("no answer in time");
            let asked = asked.unwrap_or_else(|_| Err((self.known.join(", "), silent())));
            let Err((manager, refusal)) = asked else { return Ok(()) };
            if is_final(refusal.code()) || Instant::now() + PAUSE >= deadline {
                let (why, code) = (refusal.message().to_owned(), refusal.code());
                return Err(NodeError::NotAdmitted { remote: manager, why, code });
            }
            tracing::info!(manager, %refusal, "not a manager yet");
            sleep(PAUSE).await;
        }
    }

    /// Asks whenever the store seems to be no member. Ends when it cannot be one any more.
    pub(crate) async fn keep(self) {
        loop {
            if self.leads() {
                self.move_in().await;
            } else if !self.is_in()
                && let Err((manager, refusal)) = self.ask_all().await
            {
                tracing::info!(manager, %refusal, "not a manager");
                if refusal.code() == Code::Aborted {
                    return;
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Whether the store votes where it is, as far as is known here.
    fn is_in(&self) -> bool {
        let info = self.raft.info();
        let is_heard = self.raft.stale().age.is_some_and(|age| age < SILENCE);
        is_heard && info.voters.contains(&info.member) && self.is_at_home(&info)
    }

    /// Whether the others look for the store where it is.
    fn is_at_home(&self, info: &Info) -> bool {
        info.members.get(&info.member).is_some_and(|member| member.addr == self.addr)
    }

    fn leads(&self) -> bool {
        matches!(self.raft.info().leadership, Leadership::Leader { .. })
    }

    /// Tells the others where the leader is.
    async fn move_in(&self) {
        if self.is_at_home(&self.raft.info()) {
            return;
        }
        let deadline = Instant::now() + ANSWER;
        match self.raft.readdress(self.node, self.addr.clone(), deadline.into_std()).await {
            Ok(()) => tracing::info!(addr = self.addr, "the cluster knows the new address"),
            Err(error) => tracing::warn!(%error, addr = self.addr, "the address is not known yet"),
        }
    }

    /// Asks one manager after the other until one lets the store in. Who is silent for long does not
    /// keep the next from being asked.
    async fn ask_all(&self) -> Result<(), (String, Status)> {
        let members = self.raft.info().members;
        let others = members.values().filter(|member| member.node != self.node);
        let mut all: Vec<String> = others.map(|member| member.addr.clone()).collect();
        for manager in &self.known {
            if *manager != self.addr && !all.contains(manager) {
                all.push(manager.clone());
            }
        }
        if all.is_empty() {
            return Err((self.addr.clone(), Status::unavailable("no other manager is known")));
        }
        first_to_agree(all, |manager| self.ask(manager)).await
    }

    async fn ask(&self, manager: String) -> (String, Result<(), Status>) {
        let answer = self.answer(&manager).await;
        (manager, answer)
    }

    async fn answer(&self, manager: &str) -> Result<(), Status> {
        let channel = tls::channel(manager, &self.credentials);
        let channel = channel.map_err(|error| Status::unavailable(error.to_string()))?;
        let info = self.raft.info();
        let (member, epoch) = (info.member, info.epoch);
        let request = v1::AdmitRequest { member, addr: self.addr.clone(), epoch };
        match timeout(ANSWER, ManagersClient::new(channel).admit(request)).await {
            Ok(answer) => answer.map(drop),
            Err(_) => Err(Status::deadline_exceeded("no answer in time")),
        }
    }
}

/// Asks one after the other, and does not wait for who is silent before it asks the next. Ends with
/// the first that agrees or refuses for good, or with the last refusal.
async fn first_to_agree<F>(
    managers: Vec<String>,
    ask: impl Fn(String) -> F,
) -> Result<(), (String, Status)>
where
    F: Future<Output = (String, Result<(), Status>)>,
{
    let (mut left, mut asked) = (managers.into_iter(), FuturesUnordered::new());
    let mut last = (String::new(), Status::unavailable("nobody was asked"));
    loop {
        asked.extend(left.next().map(&ask));
        let patience = if left.len() > 0 { PATIENCE } else { ANSWER };
        match timeout(patience, asked.next()).await {
            Ok(Some((_, Ok(())))) => return Ok(()),
            Ok(Some((manager, Err(refusal)))) if is_final(refusal.code()) => {
                return Err((manager, refusal));
            }
            Ok(Some((manager, Err(refusal)))) => last = (manager, refusal),
            Ok(None) => return Err(last),
            Err(_) => {}
        }
    }
}

/// True when no manager will answer otherwise a little later.
pub(crate) const fn is_final(refusal: Code) -> bool {
    matches!(refusal, Code::FailedPrecondition | Code::InvalidArgument | Code::Aborted)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    async fn ask(manager: String) -> (String, Result<(), Status>) {
        let answer = match manager.as_str() {
            "paused" => pending().await,
            "busy" => Err(Status::unavailable("no leader")),
            "full" => Err(Status::failed_precondition("no quorum")),
            _ => Ok(()),
        };
        (manager, answer)
    }

    async fn asked(managers: &[&str]) -> (Result<(), Code>, Duration) {
        let began = Instant::now();
        let managers = managers.iter().map(|&it| it.to_owned()).collect();
        let outcome = timeout(ANSWER, first_to_agree(managers, ask)).await;
        let outcome = outcome.unwrap_or_else(|_| Err((String::new(), Status::cancelled("late"))));
        (outcome.map_err(|(_, refusal)| refusal.code()), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_manager_that_is_silent_keeps_no_other_from_being_asked() {
        assert_eq!(asked(&["busy", "agrees"]).await, (Ok(()), Duration::ZERO));
        let (outcome, took) = asked(&["paused", "paused", "agrees"]).await;
        assert_eq!(outcome, Ok(()));
        assert!(took <= 2 * PATIENCE + Duration::from_millis(10), "{took:?}");

        assert_eq!(asked(&["busy", "busy"]).await.0, Err(Code::Unavailable));
        let (outcome, took) = asked(&["full", "agrees"]).await;
        assert_eq!((outcome, took), (Err(Code::FailedPrecondition), Duration::ZERO));
        assert_eq!(asked(&["paused"]).await.0, Err(Code::Cancelled), "each has its own time");
    }
}
