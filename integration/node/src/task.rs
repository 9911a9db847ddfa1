//! A task as the command line shows it, and its process as the kernel shows it.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// A row of `swarm ps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The task's full id.
    pub id: String,
    /// `SERVICE.SLOT`, without the mark of older tasks.
    pub name: String,
    /// Desired state.
    pub desired: String,
    /// Current state, without its age.
    pub current: String,
    /// What went wrong, without quotes.
    pub error: String,
}

impl Row {
    pub(crate) fn of(object: &Value) -> Self {
        let text = |key: &str| object[key].as_str().unwrap_or_else(|| panic!("{key} in {object}"));
        let current = text("CurrentState").split(' ').next().unwrap_or_default();
        Self {
            id: text("ID").to_owned(),
            name: text("Name").trim_start_matches(r" \_ ").to_owned(),
            desired: text("DesiredState").to_owned(),
            current: current.to_owned(),
            error: text("Error").trim_matches('"').to_owned(),
        }
    }

    /// Whether it runs and should.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.current == "Running" && self.desired == "Running"
    }
}

/// The first process of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process(pub i32);

impl Process {
    /// Whether it is there and no zombie.
    #[must_use]
    pub fn lives(self) -> bool {
        let status = fs::read_to_string(self.path("status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
    }

    /// Ends it at once.
    ///
    /// # Panics
    ///
    /// When it is not there.
    #[track_caller]
    pub fn kill(self) {
        let signal = nix::sys::signal::Signal::SIGKILL;
        let sent = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.0), signal);
        sent.unwrap_or_else(|why| panic!("kill {}: {why}", self.0));
    }

    /// Its arguments.
    #[must_use]
    pub fn arguments(self) -> Vec<String> {
        self.list("cmdline")
    }

    /// Its environment, `KEY=VALUE`.
    #[must_use]
    pub fn environment(self) -> Vec<String> {
        self.list("environ")
    }

    /// Its working directory as it sees it.
    #[must_use]
    pub fn directory(self) -> PathBuf {
        fs::read_link(self.path("cwd")).unwrap_or_default()
    }

    /// Its effective user and group.
    #[must_use]
    pub fn user(self) -> (String, String) {
        let status = fs::read_to_string(self.path("status")).unwrap_or_default();
        let effective = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|ids| ids.split_whitespace().nth(1)).unwrap_or_default().to_owned()
        };
        (effective("Uid:"), effective("Gid:"))
    }

    /// A file of its cgroup, looked for in every hierarchy under the names of both versions.
    #[must_use]
    pub fn limit(self, names: &[&str]) -> Option<String> {
        let groups = fs::read_to_string(self.path("cgroup")).unwrap_or_default();
        groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let roots = [controllers.to_owned(), String::new(), "unified".to_owned()];
            let root = roots.iter().map(|root| PathBuf::from("/sys/fs/cgroup").join(root));
            let folders: Vec<_> =
                root.map(|root| root.join(path.trim_start_matches('/'))).collect();
            let files =
                folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
            files.filter_map(|file| fs::read_to_string(file).ok()).next()
        })
    }

    fn path(self, file: &str) -> PathBuf {
        PathBuf::from("/proc").join(self.0.to_string()).join(file)
    }

    fn list(self, file: &str) -> Vec<String> {
        let text = fs::read(self.path(file)).unwrap_or_default();
        let parts = text.split(|byte| *byte == 0).filter(|part| !part.is_empty());
        parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect()
    }
}
