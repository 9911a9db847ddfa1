//! The end of a command, however it comes.

use std::time::Duration;

use containerd_client::services::v1::{DeleteProcessRequest, KillRequest, WaitRequest};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::fifo;
use crate::error::Tolerate;
use crate::rpc::{QUICK, rpc};
use crate::{Error, Runtime, Signal};

/// One round of waiting; a wait is as many rounds as it takes.
const ROUND: Duration = Duration::from_secs(60);
/// How long containerd may be away while a command runs or is ended.
const AWAY: Duration = Duration::from_secs(60);
/// How long a killed command may take until it is looked at again.
const MOMENT: Duration = Duration::from_millis(500);
/// Time until it is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// A command of a container.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) runtime: Runtime,
    pub(super) id: String,
    pub(super) exec: String,
}

/// Ends the command when dropped.
#[derive(Debug)]
pub(super) struct Running(Option<Name>);

impl Running {
    pub(super) fn new(name: Name) -> Self {
        Self(Some(name))
    }

    /// Cleans up a command that has ended. Safe to drop.
    pub(super) async fn over(&mut self) {
        let Some(name) = &self.0 else { return };
        // Otherwise it is tried again on drop.
        if name.delete().await.is_ok() {
            name.forget();
            self.0 = None;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (Some(name), Ok(tokio)) = (self.0.take(), Handle::try_current()) else { return };
        // Bounded: each of its steps has a deadline.
        tokio.spawn(async move { name.end().await });
    }
}

impl Name {
    /// Waits for the command's exit code, also over a restart of containerd.
    pub(super) async fn exit(self) -> Result<u32, Error> {
        let mut away = None;
        loop {
            let (container_id, exec_id) = (self.id.clone(), self.exec.clone());
            let request = WaitRequest { container_id, exec_id };
            let waited = rpc("wait", ROUND, self.runtime.link.tasks().wait(request)).await;
            match waited.or_absent() {
                Ok(Some(ended)) => return Ok(ended.exit_status),
                // The container went, and took the shim along that knew.
                Ok(None) => return Err(Error::NoProcess { id: self.id }),
                Err(Error::TimedOut { .. }) => away = None,
                Err(Error::Unavailable { call }) => {
                    if away.get_or_insert_with(Instant::now).elapsed() > AWAY {
                        return Err(Error::Unavailable { call });
                    }
                    sleep(PAUSE).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Sends a signal. A command that ended needs none.
    pub(super) async fn signal(&self, signal: Signal) -> Result<(), Error> {
        let request = KillRequest {
            container_id: self.id.clone(),
            exec_id: self.exec.clone(),
            signal: signal.number(),
            all: false,
        };
        let sent = rpc("kill a command", QUICK, self.runtime.link.tasks().kill(request)).await;
        sent.or_absent().map(drop)
    }

    /// Kills the command and cleans up. It may be half started: then the first tries come early.
    async fn end(&self) {
        let begun = Instant::now();
        // A shim that starts the command waits for somebody to open them.
        let _held = fifo::hold(&self.runtime.exec_path(&self.id, &self.exec));
        while begun.elapsed() < AWAY {
            let _ = self.signal(Signal::KILL).await;
            let _ = tokio::time::timeout(MOMENT, self.clone().exit()).await;
            if self.delete().await.is_ok() {
                break;
            }
            sleep(PAUSE).await;
        }
        self.forget();
    }

    /// Removes what containerd holds of a command that ended.
    async fn delete(&self) -> Result<(), Error> {
        let (container_id, exec_id) = (self.id.clone(), self.exec.clone());
        let request = DeleteProcessRequest { container_id, exec_id };
        let mut tasks = self.runtime.link.tasks();
        let deleted = rpc("delete a command", QUICK, tasks.delete_process(request)).await;
        deleted.or_absent().map(drop)
    }

    /// Removes the FIFOs. What cannot be removed goes with the container.
    fn forget(&self) {
        let dir = self.runtime.exec_path(&self.id, &self.exec);
        let _ = std::fs::remove_dir_all(&dir);
        // Only the last one succeeds.
        let _ = dir.parent().map(std::fs::remove_dir);
    }
}

impl Runtime {
    /// Ends the commands a daemon left that was killed: nobody reads what they write. One that
    /// resists holds nobody up.
    pub(crate) fn end_left_execs(&self) {
        for (id, exec) in left(&self.options.exec_dir) {
            drop(Running::new(Name { runtime: self.clone(), id, exec }));
        }
    }

    /// Forgets the commands of a container that is removed.
    pub(crate) fn remove_execs(&self, id: &str) {
        let _ = std::fs::remove_dir_all(self.options.exec_dir.join(id));
    }
}

/// Container and command of each directory of FIFOs.
fn left(dir: &std::path::Path) -> Vec<(String, String)> {
    let names = |dir: &std::path::Path| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>()
    };
    let execs = |id: String| {
        let execs = names(&dir.join(&id));
        execs.into_iter().map(move |exec| (id.clone(), exec))
    };
    names(dir).into_iter().flat_map(execs).collect()
}
