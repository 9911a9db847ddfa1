//! A containerd, a runtime on it, and ways to look at both from outside.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use swarm_runtime::{
    ContainerConfig, ContainerState, Error, Image, Log, LogQuery, Options, Runtime, Status,
};
use tempfile::TempDir;
use testbed::{Containerd, Format, Layers, busybox_archive};
use tokio::time::{Instant, sleep};

/// Longest wait for anything in these tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    // Dropped in this order: the daemon before its directory.
    pub(crate) containerd: Containerd,
    pub(crate) runtime: Runtime,
    pub(crate) options: Options,
    pub(crate) dir: TempDir,
}

impl World {
    /// A daemon without images.
    pub(crate) async fn empty() -> Self {
        let dir = tempfile::Builder::new().prefix("rt").tempdir().unwrap();
        let containerd = Containerd::start(dir.path());
        for name in ["spool", "registries"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let options = Options {
            socket: containerd.socket(),
            cgroup_parent: containerd.cgroup_parent(),
            runc_root: Some(containerd.runc_root()),
            log_dir: dir.path().join("log-dir"),
            log_writer: log_writer(),
            exec_dir: dir.path().join("exec"),
            volume_dir: dir.path().join("volumes"),
            spool_dir: dir.path().join("spool"),
            registries_dir: dir.path().join("registries"),
            ..Options::default()
        };
        let runtime = Runtime::connect(options.clone()).await.unwrap();
        Self { containerd, runtime, options, dir }
    }

    /// With `busybox:test`.
    pub(crate) async fn with_busybox() -> Self {
        let world = Self::empty().await;
        world.load(&busybox_archive(Format::Oci, Layers::Plain)).await.unwrap();
        world
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
        self.dir.path().join("log-dir").join(id)
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
        ctr.arg("-a").arg(self.containerd.socket()).args(["-n", "swarm"]).args(arguments);
        let output = ctr.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn spooled(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("spool")).unwrap().count()
    }
}

/// The example of that name, which is built along with the tests.
fn log_writer() -> PathBuf {
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
