//! A namespace of containerd, a runtime on it, and ways to look at both from outside.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use swarm_runtime::{
    ContainerConfig, ContainerState, Error, Image, Log, LogQuery, Options, Runtime, Status,
};
use testbed::{Format, Layers, Tenant, busybox_archive};
use tokio::time::{Instant, sleep};

/// Longest wait for anything in these tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) runtime: Runtime,
    pub(crate) options: Options,
    pub(crate) tenant: Tenant,
}

impl World {
    /// A namespace without images.
    pub(crate) async fn empty() -> Self {
        Self::of(Tenant::shared()).await
    }

    /// With `busybox:test`.
    pub(crate) async fn with_busybox() -> Self {
        Self::empty().await.loaded().await
    }

    /// As [`World::with_busybox`], in a containerd of its own, to be restarted.
    pub(crate) async fn alone() -> Self {
        Self::of(Tenant::alone()).await.loaded().await
    }

    async fn of(tenant: Tenant) -> Self {
        for name in ["spool", "registries"] {
            std::fs::create_dir(tenant.dir().join(name)).unwrap();
        }
        let options = Options {
            socket: tenant.containerd().socket(),
            namespace: tenant.namespace().to_owned(),
            cgroup_parent: tenant.cgroup_parent(),
            runc_root: Some(tenant.containerd().runc_root()),
            log_dir: tenant.dir().join("log-dir"),
            log_writer: log_writer(),
            exec_dir: tenant.dir().join("exec"),
            volume_dir: tenant.dir().join("volumes"),
            spool_dir: tenant.dir().join("spool"),
            registries_dir: tenant.dir().join("registries"),
            ..Options::default()
        };
        let runtime = Runtime::connect(options.clone()).await.unwrap();
        Self { runtime, options, tenant }
    }

    async fn loaded(self) -> Self {
        self.load(&busybox_archive(Format::Oci, Layers::Plain)).await.unwrap();
        self
    }

    pub(crate) fn dir(&self) -> &Path {
        self.tenant.dir()
    }

    pub(crate) async fn load(&self, archive: &[u8]) -> Result<Vec<Image>, Error> {
        self.runtime.load(archive, None).await
    }

    /// A shell that runs `script`.
    pub(crate) async fn shell(&self, id: &str, script: &str) -> ContainerConfig {
        let config = shell(id, script);
        self.runtime.create(&config).await.unwrap();
        config
    }

    /// Asks until containerd answers, which takes a moment after a restart.
    pub(crate) async fn containers(&self) -> Vec<ContainerState> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.runtime.containers().await {
                Err(Error::Unavailable { .. }) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(10)).await;
                }
                answer => return answer.unwrap(),
            }
        }
    }

    pub(crate) async fn status(&self, id: &str) -> Option<Status> {
        let found = self.containers().await;
        found.into_iter().find(|container| container.id == id).map(|container| container.status)
    }

    pub(crate) fn output_path(&self, id: &str) -> PathBuf {
        self.dir().join("log-dir").join(id)
    }

    /// Waits until the container's output holds `text`.
    pub(crate) async fn output_with(&self, id: &str, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.output(id).await;
            if output.contains(text) {
                return output;
            }
            assert!(Instant::now() < deadline, "no {text:?} in {output:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// All the container wrote so far, a newline behind each line.
    pub(crate) async fn output(&self, id: &str) -> String {
        let mut reader = self.runtime.logs(id, &LogQuery::default()).await.unwrap();
        let mut output = String::new();
        while let Some(lines) = reader.next().await.unwrap() {
            for line in lines {
                output.push_str(&String::from_utf8_lossy(&line.data));
                output.extend((!line.partial).then_some('\n'));
            }
        }
        output
    }

    /// What containerd holds, as its own tool tells it: content, unfinished content, images,
    /// leases, snapshots, containers, tasks.
    pub(crate) fn holdings(&self) -> Vec<String> {
        let kinds: [&[&str]; 7] = [
            &["content", "ls", "-q"],
            &["content", "active"],
            &["images", "ls", "-q"],
            &["leases", "ls", "-q"],
            &["snapshots", "ls"],
            &["containers", "ls", "-q"],
            &["tasks", "ls", "-q"],
        ];
        kinds.iter().map(|arguments| format!("{}: {}", arguments[0], self.ctr(arguments))).collect()
    }

    /// What containerd's own tool answers.
    pub(crate) fn ctr(&self, arguments: &[&str]) -> String {
        let mut ctr = Command::new("ctr");
        ctr.arg("-a")
            .arg(&self.options.socket)
            .args(["-n", &self.options.namespace])
            .args(arguments);
        let output = ctr.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn spooled(&self) -> usize {
        std::fs::read_dir(self.dir().join("spool")).unwrap().count()
    }
}

/// The example of that name, which is built along with the tests.
pub(crate) fn log_writer() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("examples/log-writer")
}

pub(crate) fn shell(id: &str, script: &str) -> ContainerConfig {
    ContainerConfig {
        id: id.into(),
        name: format!("web.1.{id}"),
        image: "busybox:test".into(),
        command: ["/bin/sh", "-c", script].map(String::from).into(),
        log: Log::Files { max_bytes: 0, max_files: 1 },
        ..ContainerConfig::default()
    }
}
