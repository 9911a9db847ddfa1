//! Starts, signals and awaits a container's process.

use std::time::Duration;

use containerd_client::services::v1::{
    Container, CreateTaskRequest, DeleteTaskRequest, KillRequest, StartRequest,
    UpdateContainerRequest, WaitRequest,
};

use super::{Exit, Kept, STARTED, Status, list};
use crate::error::Tolerate;
use crate::rpc::{PROCESS, QUICK, rpc};
use crate::{Error, Runtime, Signal};

/// One round of waiting; a wait is as many rounds as it takes.
const ROUND: Duration = Duration::from_secs(60);

/// How often the end of a container is asked for while its shim or containerd goes away.
const SHIM_LOOKS: u32 = 20;
/// Time between two of these.
const SHIM_PAUSE: Duration = Duration::from_millis(50);

impl Runtime {
    /// Starts a container and returns its process id on this host. One that runs is left alone.
    ///
    /// # Errors
    ///
    /// [`Error::NotStarted`] when its command cannot be run, [`Error::AlreadyRan`] when it ended
    /// or was lost before; in both cases trying again does not help.
    pub async fn start(&self, id: &str) -> Result<u32, Error> {
        let turn = self.lives.lock(id).await;
        let record = self.container(id).await?;
        let task = self.process(id).await?;
        match list::status(task.as_ref(), &record) {
            Status::Running { pid } => return Ok(pid),
            Status::Stopped(_) | Status::Lost => {
                return Err(Error::AlreadyRan { id: id.into() });
            }
            Status::Created => {}
        }
        // Never closed. Each of those before is bounded in time, so this wait is.
        let permit = self.starts.clone().acquire_owned().await;
        let (runtime, id) = (self.clone(), id.to_owned());
        // containerd gives up a call whose caller does, and leaves half a container behind: once
        // begun, this goes on to its end, and whoever wants the container next waits for that.
        let begun = tokio::spawn(async move {
            let _held = (turn, permit);
            runtime.begin(&id, record, task.is_some()).await
        });
        match begun.await {
            Ok(started) => started,
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            Err(_) => Err(Error::Unavailable { call: "start task" }),
        }
    }

    /// Starts a container that has not run yet, with or without a process that waits to run.
    async fn begin(&self, id: &str, record: Container, is_there: bool) -> Result<u32, Error> {
        let kept = list::kept(&record);
        self.show_volumes(id, &kept).await?;
        // Without the mark, what is there is from a start that was cut off, and goes first: it has
        // no process, or one whose log writer the shim has ended.
        let cut_off = !record.labels.contains_key(STARTED);
        if cut_off && (is_there || !self.create_task(id, &kept).await?) {
            self.delete_task(id).await?;
            if !self.create_task(id, &kept).await? {
                return Err(Error::Unavailable { call: "create task" });
            }
        }
        self.hide_volumes(id, &kept).await?;
        self.mark_started(record).await?;
        let request = StartRequest { container_id: id.into(), exec_id: String::new() };
        let started = rpc("start task", PROCESS, self.link.tasks().start(request)).await;
        match started.map_err(|refused| not_started(id, refused)) {
            Ok(started) => Ok(started.pid),
            Err(refused) => {
                if matches!(refused, Error::NotStarted { .. }) {
                    self.delete_task(id).await?;
                }
                Err(refused)
            }
        }
    }

    /// Sends a signal. A container that does not run needs none, and that is fine.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such container.
    pub async fn kill(&self, id: &str, signal: Signal) -> Result<(), Error> {
        if self.signal(id, signal).await?.is_none() {
            self.container(id).await?;
        }
        Ok(())
    }

    /// Resolves when the process has ended, as often as it is asked. Safe to drop.
    ///
    /// # Errors
    ///
    /// [`Error::NoProcess`] when there is nothing to wait for, [`Error::Unavailable`] when
    /// containerd went away meanwhile: ask again.
    pub async fn wait(&self, id: &str) -> Result<Exit, Error> {
        loop {
            let request = WaitRequest { container_id: id.into(), exec_id: String::new() };
            let ended = rpc("wait", ROUND, self.link.tasks().wait(request)).await;
            match ended.or_absent() {
                Ok(Some(ended)) => return Ok(list::exit(ended.exit_status, ended.exited_at)),
                Ok(None) => {
                    self.container(id).await?;
                    return Err(Error::NoProcess { id: id.into() });
                }
                Err(Error::TimedOut { .. }) => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Sends `signal`, or the one the container was made with, then SIGKILL after `grace`.
    ///
    /// Returns how the process ended, `None` when there is none: never started, or lost.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such container; [`Error::TimedOut`] when not even
    /// SIGKILL ended it in time, as when it hangs in the kernel.
    pub async fn stop(
        &self,
        id: &str,
        signal: Option<Signal>,
        grace: Duration,
    ) -> Result<Option<Exit>, Error> {
        let record = self.container(id).await?;
        let own = list::kept(&record).stop_signal.parse().unwrap_or(Signal::TERM);
        self.signal(id, signal.unwrap_or(own)).await?;
        match tokio::time::timeout(grace, self.wait(id)).await {
            Ok(Ok(exit)) => Ok(Some(exit)),
            Ok(Err(Error::NoProcess { .. })) => Ok(None),
            Ok(Err(failure)) => Err(failure),
            Err(_) => self.end(id).await,
        }
    }

    /// SIGKILL, and the end of it; asked again while containerd loses sight of the shim.
    pub(super) async fn end(&self, id: &str) -> Result<Option<Exit>, Error> {
        let mut looks = SHIM_LOOKS;
        loop {
            match self.end_once(id).await {
                Err(Error::Unavailable { .. }) if looks > 0 => looks -= 1,
                ended => return ended,
            }
            tokio::time::sleep(SHIM_PAUSE).await;
        }
    }

    async fn end_once(&self, id: &str) -> Result<Option<Exit>, Error> {
        self.signal(id, Signal::KILL).await?;
        let request = WaitRequest { container_id: id.into(), exec_id: String::new() };
        let ended = rpc("wait", PROCESS, self.link.tasks().wait(request)).await;
        Ok(ended.or_absent()?.map(|ended| list::exit(ended.exit_status, ended.exited_at)))
    }

    /// `None` when there is no process to signal.
    async fn signal(&self, id: &str, signal: Signal) -> Result<Option<()>, Error> {
        let request = KillRequest {
            container_id: id.into(),
            exec_id: String::new(),
            signal: signal.number(),
            all: false,
        };
        rpc("kill", QUICK, self.link.tasks().kill(request)).await.or_absent()
    }

    /// False when there is a task already.
    async fn create_task(&self, id: &str, kept: &Kept) -> Result<bool, Error> {
        let rootfs = self.mounts(id).await?.ok_or_else(|| Error::NotFound { id: id.into() })?;
        let output = match self.output(id) {
            // A terminal is read to somewhere, or its programs would stop writing.
            nowhere if nowhere.is_empty() && kept.tty => "/dev/null".into(),
            output => output,
        };
        let request = CreateTaskRequest {
            container_id: id.into(),
            rootfs,
            stdout: output.clone(),
            stderr: output,
            terminal: kept.tty,
            options: self.shim_options(),
            ..CreateTaskRequest::default()
        };
        let mut looks = SHIM_LOOKS;
        loop {
            let request = request.clone();
            let created = rpc("create task", PROCESS, self.link.tasks().create(request)).await;
            let created = created.or_present();
            match created.map_err(|refused| not_started(id, refused)) {
                Err(Error::NotStarted { why, .. }) if looks > 0 && is_left_behind(&why) => {
                    looks -= 1;
                }
                created => return Ok(created?.is_some()),
            }
            tokio::time::sleep(SHIM_PAUSE).await;
        }
    }

    async fn mark_started(&self, record: Container) -> Result<(), Error> {
        let container = Container {
            id: record.id,
            labels: [(STARTED.to_owned(), "1".to_owned())].into(),
            ..Container::default()
        };
        let paths = vec![format!("labels.{STARTED}")];
        let request = UpdateContainerRequest {
            container: Some(container),
            update_mask: Some(prost_types::FieldMask { paths }),
        };
        rpc("mark container", QUICK, self.link.containers().update(request)).await.map(drop)
    }

    /// Deletes an ended process and its shim.
    pub(super) async fn delete_task(&self, id: &str) -> Result<(), Error> {
        let request = DeleteTaskRequest { container_id: id.into() };
        rpc("delete task", PROCESS, self.link.tasks().delete(request)).await.or_absent().map(drop)
    }
}

/// Whether a call whose caller died is still being cleaned up by containerd: its directory of the
/// container goes a moment later.
fn is_left_behind(why: &str) -> bool {
    why.contains("failed to start shim") && why.contains("file exists")
}

/// What the OCI runtime says comes as an unspecific refusal.
fn not_started(id: &str, refused: Error) -> Error {
    match refused {
        Error::Containerd { status, .. }
            if matches!(status.code(), tonic::Code::Unknown | tonic::Code::InvalidArgument) =>
        {
            Error::NotStarted { id: id.into(), why: status.message().into() }
        }
        other => other,
    }
}
