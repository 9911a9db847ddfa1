//! How a store begins: opened, founded as a cluster of one, made empty for a member that joins,
//! or cut off from members that are lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use swarm_crypto::seal::Sealer;
use swarm_types::Group;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::disk::Disk;
use crate::error::{OpenError, ProposeError};
use crate::fault::Fault;
use crate::lanes::Lane;
use crate::leadership::Leadership;
use crate::log::{self, Founding, Log};
use crate::mark::FIRST_EPOCH;
use crate::options::Options;
use crate::raft::Raft;
use crate::type_config::{Member, MemberId};

/// How long founding a cluster may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl Raft {
    /// Opens the store that is in `options.dir`, with everything that was ever acknowledged.
    ///
    /// # Errors
    ///
    /// [`OpenError`], which names the file and how to go on. Nothing is changed then.
    pub async fn open(options: Options, sealer: Sealer) -> Result<Self, OpenError> {
        Self::open_on(Disk::default(), options, sealer).await
    }

    pub(crate) async fn open_on(
        disk: Disk,
        options: Options,
        sealer: Sealer,
    ) -> Result<Self, OpenError> {
        let founding = founding(disk, &options, sealer);
        let found = log::open(founding.clone()).await?;
        Self::start(founding, found, &options).await
    }

    /// Founds a cluster of one in `options.dir`, with `first` as its first group. The store is
    /// there only when this returns `Ok`; a founding that was interrupted may be tried again.
    ///
    /// # Errors
    ///
    /// [`OpenError::Exists`] when there is a store, [`OpenError::Refused`] when the group is
    /// refused.
    pub async fn bootstrap(
        options: Options,
        sealer: Sealer,
        first: Group,
    ) -> Result<Self, OpenError> {
        Self::bootstrap_on(Disk::default(), options, sealer, first).await
    }

    pub(crate) async fn bootstrap_on(
        disk: Disk,
        options: Options,
        sealer: Sealer,
        first: Group,
    ) -> Result<Self, OpenError> {
        let founding = founding(disk, &options, sealer);
        log::clear_unfinished(&founding)?;
        // 0 is what raft calls nobody.
        let member = rand::random_range(1..=MemberId::MAX);
        let found = log::create(founding.clone(), member, FIRST_EPOCH).await?;
        let this = Self::start(founding, found, &options).await?;
        let slow = OpenError::Slow { dir: options.dir.clone(), waited: PATIENCE };
        let founded = timeout(PATIENCE, this.found(&options, first)).await;
        match founded.unwrap_or(Err(slow)) {
            Ok(()) => Ok(this),
            Err(error) => {
                this.shutdown().await;
                Err(error)
            }
        }
    }

    /// Makes an empty store in `options.dir` for a member of the cluster of that epoch, with a
    /// number of its own that [`Raft::info`] tells. It holds nothing until a member
    /// [adds](Raft::add) it, and is complete once it knows itself to be a member; what an
    /// interrupted attempt left is removed, its number is never used again.
    ///
    /// # Errors
    ///
    /// [`OpenError::Exists`] when there is a complete store.
    pub async fn join(options: Options, sealer: Sealer, epoch: u64) -> Result<Self, OpenError> {
        Self::join_on(Disk::default(), options, sealer, epoch).await
    }

    pub(crate) async fn join_on(
        disk: Disk,
        options: Options,
        sealer: Sealer,
        epoch: u64,
    ) -> Result<Self, OpenError> {
        let founding = founding(disk, &options, sealer);
        log::clear_unfinished(&founding)?;
        let member = rand::random_range(1..=MemberId::MAX);
        let found = log::create(founding.clone(), member, epoch).await?;
        let this = Self::start(founding, found, &options).await?;
        let (metrics, log) = (this.0.raft.metrics(), this.0.log.clone());
        drop(this.spawn(complete(member, metrics, log, this.0.complete.clone())));
        Ok(this)
    }

    /// Opens the store that is in `options.dir` as a cluster of its own: `options.node` at
    /// `options.addr` is the only member. For a cluster that has lost its quorum for good.
    ///
    /// Every entry this store holds counts as committed, also those nobody acknowledged. The
    /// epoch grows and the member gets another number, so that the members of before are
    /// strangers, should they come back. From the moment this is decided on disk it cannot be
    /// undone: an interrupted attempt is then finished by [`Raft::open`].
    ///
    /// # Errors
    ///
    /// [`OpenError`] as from [`Raft::open`].
    pub async fn force_new(options: Options, sealer: Sealer) -> Result<Self, OpenError> {
        Self::force_new_on(Disk::default(), options, sealer).await
    }

    pub(crate) async fn force_new_on(
        disk: Disk,
        options: Options,
        sealer: Sealer,
    ) -> Result<Self, OpenError> {
        let founding = founding(disk, &options, sealer);
        let member = rand::random_range(1..=MemberId::MAX);
        let alone = Member { node: options.node, addr: options.addr.clone() };
        let found = log::open_alone(founding.clone(), member, alone).await?;
        Self::start(founding, found, &options).await
    }

    async fn found(&self, options: &Options, first: Group) -> Result<(), OpenError> {
        let member = Member { node: options.node, addr: options.addr.clone() };
        let members = BTreeMap::from([(self.0.member, member)]);
        let initialized = self.0.raft.initialize(members).await;
        initialized.map_err(|error| self.0.stopped_by(&error))?;
        let mut leadership = self.leadership();
        let leads = leadership.wait_for(|it| matches!(it, Leadership::Leader { .. }));
        tokio::select! {
            leads = leads => drop(leads.map_err(|_| self.0.fault.stopped())?),
            reason = self.0.fault.raised() => return Err(reason.into()),
        }
        match self.propose(Lane::Control, first, Instant::now() + PATIENCE).await {
            Ok(_) => {
                self.0.log.complete().await?;
                self.0.complete.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(ProposeError::Refused(refusal)) => Err(OpenError::Refused(refusal)),
            Err(ProposeError::Stopped(reason)) => Err(reason.into()),
            Err(error @ ProposeError::TooLarge { .. }) => {
                Err(OpenError::Settings(error.to_string()))
            }
            Err(_) => Err(OpenError::Slow { dir: options.dir.clone(), waited: PATIENCE }),
        }
    }
}

/// Notes that joining is complete, once this member is one.
async fn complete(
    member: MemberId,
    mut metrics: watch::Receiver<openraft::RaftMetrics<MemberId, Member>>,
    log: Log,
    noted: Arc<AtomicBool>,
) {
    let joined = metrics.wait_for(|now| {
        let known = &now.membership_config;
        known.membership().get_node(&member).is_some() && now.last_applied >= *known.log_id()
    });
    if joined.await.is_err() {
        return;
    }
    match log.complete().await {
        Ok(()) => {
            noted.store(true, Ordering::Relaxed);
            tracing::info!("the store is complete");
        }
        Err(_) => tracing::debug!("the store stopped before it was complete"),
    }
}

fn founding(disk: Disk, options: &Options, sealer: Sealer) -> Founding {
    Founding { dir: options.dir.clone(), disk, sealer, fault: Fault::default() }
}
