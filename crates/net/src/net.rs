//! The handle: a thread for each piece of work, and turns, so that a repair sees no half of one.

use std::io;
use std::sync::Arc;

use ipnetwork::Ipv4Network;
use tokio::sync::{OwnedRwLockReadGuard, OwnedSemaphorePermit, RwLock, Semaphore};

use crate::error::NetError;
use crate::host::{self, Host};
use crate::names;
use crate::netns::on_thread;
use crate::watch::Watch;
use crate::wish::{Attached, Options, Wish};

/// Namespaces worked on at a time; the kernel's own lock on links lets few more through.
const PARALLEL: usize = 8;

/// The network of one host for its tasks. Clones are the same network.
///
/// Every method may be called again with the same arguments, also after a crash: it finds what an
/// earlier call left and carries on. One id is for one caller at a time. What is in the kernel
/// outlives this value; dropping the last clone only ends the repair of it.
#[derive(Clone, Debug)]
pub struct Net {
    shared: Arc<Shared>,
    _watch: Arc<Watch>,
}

/// What the handle and the watch have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) host: Host,
    /// Taken for reading by work on one task, for writing by a repair.
    gate: Arc<RwLock<()>>,
    threads: Arc<Semaphore>,
}

/// Leave to work on one task, for as long as it is held.
struct Turn {
    _gate: OwnedRwLockReadGuard<()>,
    _thread: OwnedSemaphorePermit,
}

impl Net {
    /// Adopts what an earlier run left and makes what all tasks share: bridge, rules, settings.
    /// From then on what others take away of it is put back within a second.
    ///
    /// # Errors
    ///
    /// [`NetError::PrivateMount`], [`NetError::NoSubnetLeft`], or what the kernel refused.
    pub async fn open(options: Options) -> Result<Self, NetError> {
        let host = on_thread(move || Host::open(&options)).await?;
        let shared = Arc::new(Shared {
            host,
            gate: Arc::new(RwLock::new(())),
            threads: Arc::new(Semaphore::new(PARALLEL)),
        });
        let watch = Watch::start(Arc::clone(&shared))?;
        Ok(Self { shared, _watch: Arc::new(watch) })
    }

    /// Gives a task its namespace and what it wished for. A second call changes ports to a new
    /// wish and keeps the address and the ports chosen before.
    ///
    /// # Errors
    ///
    /// [`NetError::PortTaken`], [`NetError::NoPortLeft`] and [`NetError::NoAddressLeft`] are about
    /// this task on this node; anything else is about the node. [`Net::detach`] takes away what
    /// was made.
    pub async fn attach(&self, id: &str, wish: &Wish) -> Result<Attached, NetError> {
        names::checked(id)?;
        match self.try_attach(id, wish).await {
            // Somebody removed our table or bridge in between: put it back first.
            Err(NetError::Kernel { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                self.shared.repair().await?;
                self.try_attach(id, wish).await
            }
            other => other,
        }
    }

    async fn try_attach(&self, id: &str, wish: &Wish) -> Result<Attached, NetError> {
        let (id, wish) = (id.to_owned(), wish.clone());
        self.shared.work(move |host| host.attach(&id, &wish)).await
    }

    /// Leaves nothing of a task: ports, links, namespace, address. `Ok` if there is nothing.
    ///
    /// # Errors
    ///
    /// What the kernel or the disk refused; call again.
    pub async fn detach(&self, id: &str) -> Result<(), NetError> {
        let id = names::checked(id)?.to_owned();
        self.shared.work(move |host| host.detach(&id)).await
    }

    /// The ids that have anything here, also what a crash left of them, in order.
    ///
    /// # Errors
    ///
    /// What the kernel or the disk refused.
    pub async fn attached(&self) -> Result<Vec<String>, NetError> {
        self.shared.work(|host| Ok(host.ids()?.into_iter().collect())).await
    }

    /// The subnet of the gateway bridge.
    #[must_use]
    pub fn subnet(&self) -> Ipv4Network {
        self.shared.host.subnet()
    }

    /// Removes everything a node with these options ever made on this host, and nothing else.
    /// No [`Net`] may be open with them.
    ///
    /// # Errors
    ///
    /// What the kernel or the disk refused; call again.
    pub async fn purge(options: Options) -> Result<(), NetError> {
        on_thread(move || host::purge(&options)).await
    }
}

impl Shared {
    async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Host) -> Result<T, NetError> + Send + 'static,
    ) -> Result<T, NetError> {
        let closed = |_| NetError::kernel("wait for a turn", io::ErrorKind::BrokenPipe.into());
        let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(closed)?;
        let turn = Turn { _gate: Arc::clone(&self.gate).read_owned().await, _thread: thread };
        let shared = Arc::clone(self);
        on_thread(move || {
            // Held by the thread, which goes on when its caller has gone away.
            let _turn = turn;
            work(&shared.host)
        })
        .await
    }

    /// Brings what all tasks share to what it should be, while no task is worked on.
    pub(crate) async fn repair(self: &Arc<Self>) -> Result<(), NetError> {
        let gate = Arc::clone(&self.gate).write_owned().await;
        let shared = Arc::clone(self);
        on_thread(move || {
            let _gate = gate;
            shared.host.repair()
        })
        .await
    }
}
