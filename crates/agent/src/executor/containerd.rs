//! The executor on this node's containerd.
//!
//! A container's id is its task's id, so there is nothing to remember: whatever is asked of a
//! task finds its container. Every container in our containerd namespace that has such an id is
//! ours.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use swarm_net::{Attached, Net, NetError};
use swarm_runtime::{Auth, ContainerConfig, Error, ExecConfig, Network, ProbeEnd, Runtime};
use swarm_types::spec::container::{ContainerSpec, HealthConfig};
use swarm_types::spec::service::PortConfig;
use swarm_types::{Task, TaskId, Timestamp};
use tracing::info;

use super::config::{self, Place};
use super::files;
use super::template::NodeFacts;
use super::{ExecError, Executor, Exit, Found, Pid};
use crate::task::health::{Check, Probed};

/// Runs tasks on containerd.
pub(crate) struct Containerd {
    pub(crate) runtime: Runtime,
    /// `None` serves only tasks on the host's network.
    pub(crate) net: Option<Net>,
    /// What placeholders may name of the node.
    pub(crate) node: NodeFacts,
    /// Where the files of a container are, in a directory of its task.
    pub(crate) files: PathBuf,
}

impl Containerd {
    /// Has the image on the node; what is there is not asked for again.
    async fn fetch(&self, spec: &ContainerSpec) -> Result<(), ExecError> {
        let found = self.runtime.image(&spec.image).await;
        if found.map_err(|error| read("look for the image of", error))?.is_some() {
            return Ok(());
        }
        let auth = Auth::from_header(spec.pull.registry_auth.expose());
        let auth = auth.map_err(|error| config::wrong("X-Registry-Auth", &error))?;
        info!(image = spec.image, "pulls");
        let pulled = self.runtime.pull(&spec.image, &auth, |_| {}).await;
        pulled.map(drop).map_err(|error| unpulled(&spec.image, error))
    }

    /// Gives the task a network of its own; `None` when it wants the host's.
    async fn attach(&self, task: &Task) -> Result<Option<Attached>, ExecError> {
        let Place::Own(wish) = config::place(task)? else { return Ok(None) };
        let field = "TaskTemplate.Networks";
        let net = self.net.as_ref().ok_or(ExecError::Unsupported { field })?;
        let attached = net.attach(task.id.as_str(), &wish).await;
        attached.map(Some).map_err(|error| network("connect", error))
    }

    /// Gives back the task's network, with its ports and address.
    ///
    /// Done as soon as nothing of the task runs: the container stays for its history, and the
    /// task that follows wants the same ports.
    async fn detach(&self, task: TaskId) -> Result<(), ExecError> {
        let Some(net) = &self.net else { return Ok(()) };
        net.detach(task.as_str()).await.map_err(|error| network("disconnect", error))
    }

    fn write_files(
        &self,
        task: &Task,
        config: &ContainerConfig,
        attached: Option<&Attached>,
    ) -> Result<Vec<swarm_runtime::File>, ExecError> {
        let Some(spec) = task.spec().container() else { return Ok(Vec::new()) };
        let (name, own) = (config.hostname.as_deref(), attached.map(|it| it.address));
        let wanted = files::wanted(spec, name, own);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        files::write(&self.files.join(task.id.as_str()), &wanted).map_err(local("prepare"))
    }
}

impl Containerd {
    async fn make(&self, task: &Task) -> Result<Vec<PortConfig>, ExecError> {
        let mut config = config::container(task, &self.node)?;
        let field = "TaskTemplate";
        let spec = task.spec().container().ok_or(ExecError::Unsupported { field })?;
        self.fetch(spec).await?;
        let attached = self.attach(task).await?;
        config.files = self.write_files(task, &config, attached.as_ref())?;
        if let Some(attached) = &attached {
            config.network = Network::Netns(attached.netns.clone());
        }
        self.create(spec, &config).await?;
        Ok(config::bound(task, attached.as_ref()))
    }

    /// Makes the container. Nothing keeps its image between the moment it was found and this one:
    /// when somebody removed it, it is fetched once more.
    async fn create(
        &self,
        spec: &ContainerSpec,
        config: &ContainerConfig,
    ) -> Result<(), ExecError> {
        let failed = |error| read("prepare", error);
        match self.runtime.create(config).await {
            Err(Error::ImageMissing { .. }) => {}
            made => return made.map_err(failed),
        }
        self.fetch(spec).await?;
        self.runtime.create(config).await.map_err(failed)
    }
}

impl Executor for Containerd {
    async fn prepare(&self, task: &Task) -> Result<Vec<PortConfig>, ExecError> {
        let made = self.make(task).await;
        if made.as_ref().is_err_and(|error| !error.is_temporary()) {
            self.detach(task.id).await?;
        }
        made
    }

    async fn start(&self, task: &Task) -> Result<Pid, ExecError> {
        match self.runtime.start(task.id.as_str()).await {
            Err(Error::AlreadyRan { .. }) => Ok(0),
            started => started.map_err(|error| read("start", error)),
        }
    }

    async fn wait(&self, task: &Task) -> Result<Exit, ExecError> {
        let ended = self.runtime.wait(task.id.as_str()).await;
        let ended = ended.map_err(|error| read("wait for", error))?;
        self.detach(task.id).await?;
        Ok(exit(ended))
    }

    async fn check(&self, task: &Task) -> Result<Option<Check>, ExecError> {
        let Some(spec) = task.spec().container() else { return Ok(None) };
        let wish = spec.healthcheck.as_ref();
        if wish.is_some_and(|wish| wish.test.first().is_some_and(|kind| kind == "NONE")) {
            return Ok(None);
        }
        let image = self.runtime.image(&spec.image).await;
        let image = image.map_err(|error| read("look for the image of", error))?;
        let image = image.and_then(|image| image.config.healthcheck).map(|check| HealthConfig {
            test: check.test,
            interval: check.interval,
            timeout: check.timeout,
            retries: check.retries,
            start_period: check.start_period,
            start_interval: check.start_interval,
        });
        Ok(Check::of(wish, image.as_ref()))
    }

    async fn probe(&self, task: TaskId, command: &[String], limit: Duration) -> Probed {
        let config = ExecConfig { args: command.to_vec(), ..ExecConfig::default() };
        let probe = match self.runtime.probe(task.as_str(), &config, limit).await {
            Ok(probe) => probe,
            Err(error) => return Probed::Unasked { why: read("probe", error).in_full() },
        };
        let output = String::from_utf8_lossy(&probe.output);
        match probe.end {
            ProbeEnd::Exited(0) => Probed::Passed,
            ProbeEnd::Exited(code) => Probed::Failed { why: format!("exit {code}: {output}") },
            ProbeEnd::TimedOut => {
                let limit = limit.as_secs_f64();
                Probed::Failed { why: format!("health check exceeded timeout ({limit} s)") }
            }
        }
    }

    async fn stop(&self, task: TaskId, grace: Duration) -> Result<Option<Exit>, ExecError> {
        let ended = match self.runtime.stop(task.as_str(), None, grace).await {
            Err(Error::NotFound { .. }) => None,
            ended => ended.map_err(|error| read("stop", error))?.map(exit),
        };
        self.detach(task).await?;
        Ok(ended)
    }

    async fn remove(&self, task: TaskId) -> Result<(), ExecError> {
        self.runtime.remove(task.as_str()).await.map_err(|error| read("remove", error))?;
        self.detach(task).await?;
        match std::fs::remove_dir_all(self.files.join(task.as_str())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(local("remove the files of")(error))
            }
            _ => Ok(()),
        }
    }

    async fn found(&self) -> Result<Vec<Found>, ExecError> {
        let containers = self.runtime.containers().await;
        let containers = containers.map_err(|error| read("list", error))?;
        let ours = containers.into_iter().filter_map(|container| {
            let task = container.id.parse().ok()?;
            Some(Found { task, grace: config::grace(&container.labels) })
        });
        let mut found: Vec<Found> = ours.collect();
        if let Some(net) = &self.net {
            let attached = net.attached().await.map_err(|error| network("list", error))?;
            for task in attached.iter().filter_map(|id| id.parse().ok()) {
                if found.iter().all(|found| found.task != task) {
                    // There is no container to be given any time.
                    found.push(Found { task, grace: Duration::ZERO });
                }
            }
        }
        Ok(found)
    }
}

/// What is about this task on this node ends it: another node may have what it lacks. The rest
/// is about the node, and is mended or passes.
fn network(verb: &'static str, error: NetError) -> ExecError {
    let source = Box::new(error);
    match *source {
        NetError::PortTaken { .. } | NetError::NoPortLeft { .. } | NetError::NoAddressLeft(_) => {
            ExecError::Failed { verb, source }
        }
        _ => ExecError::Later { verb, source },
    }
}

fn exit(exit: swarm_runtime::Exit) -> Exit {
    let since = exit.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = i64::try_from(since.as_nanos()).ok().filter(|nanos| *nanos > 0).map(Timestamp);
    Exit { code: i32::try_from(exit.code).unwrap_or(i32::MAX), at }
}

/// A pull was tried as often as it is worth: as in Docker, the task is rejected then, and what
/// becomes of its slot is up to the managers, who may know a node that reaches the registry.
/// Only containerd's own absence says nothing of the image.
fn unpulled(image: &str, error: Error) -> ExecError {
    match error {
        Error::Unavailable { .. } | Error::TimedOut { .. } => ExecError::Away(Box::new(error)),
        error => ExecError::NoImage { image: image.to_owned(), source: Box::new(error) },
    }
}

fn read(verb: &'static str, error: Error) -> ExecError {
    match error {
        Error::Unavailable { .. } | Error::TimedOut { .. } => ExecError::Away(Box::new(error)),
        Error::NotFound { .. } | Error::NoProcess { .. } => ExecError::Gone,
        error => ExecError::Failed { verb, source: Box::new(error) },
    }
}

/// The node's disk may have room again later.
fn local(verb: &'static str) -> impl FnOnce(std::io::Error) -> ExecError {
    move |source| ExecError::Later { verb, source: Box::new(source) }
}

#[cfg(test)]
mod tests;
