//! What a cluster leaves on this machine.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Cluster;

/// What to look for once the cluster is gone: taken while it is there.
#[derive(Debug)]
pub struct Traces {
    name: String,
    /// Files outside of its directory: sockets of shims, directories of runc.
    files: Vec<PathBuf>,
    /// The link in this namespace and its index: another cluster may get one of that name.
    link: Option<(String, String)>,
    /// Inodes of its network namespaces.
    netns: Vec<u64>,
}

impl Traces {
    /// Notes what there is of a cluster.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        let dir = cluster.dir();
        let (mut files, mut netns) = (Vec::new(), Vec::new());
        netns.extend(fs::metadata(dir.join("hub.netns")).map(|it| it.ino()));
        for node in entries(&dir) {
            netns.extend(fs::metadata(node.join("netns")).map(|it| it.ino()));
            for bundle in
                entries(&node.join("containerd-state/io.containerd.runtime.v2.task/swarm"))
            {
                let socket = fs::read_to_string(bundle.join("address")).unwrap_or_default();
                files.extend(socket.strip_prefix("unix://").map(PathBuf::from));
                let id = bundle.file_name().unwrap_or_default();
                files.push(Path::new("/run/containerd/runc/swarm").join(id));
            }
        }
        let record = fs::read_to_string(dir.join("cluster.json")).unwrap_or_default();
        let record: serde_json::Value = serde_json::from_str(&record).unwrap_or_default();
        let link = record["subnet"].as_u64().map(|number| format!("swdev{number}"));
        let link = link.and_then(|link| index(&link).map(|index| (link, index)));
        Self { name: cluster.name().to_owned(), files, link, netns }
    }

    /// Files outside of the cluster's directory that are noted.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What is there now, in words.
    #[must_use]
    pub fn left(&self) -> Vec<String> {
        let dir = Path::new("/var/lib/swarm-dev").join(&self.name);
        let mut files = self.files.clone();
        files.push(dir.clone());
        let group = format!("swarm-dev-{}", self.name);
        files.extend(hierarchies().into_iter().map(|root| root.join(&group)));
        let files = files.iter().filter(|path| path.symlink_metadata().is_ok());
        let mut left: Vec<String> = files.map(|path| path.display().to_string()).collect();

        // The name of another cluster may begin with this one's.
        let dir = format!("{}/", dir.display());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        left.extend(mounts.lines().filter(|line| line.contains(&dir)).map(str::to_owned));
        let link = self.link.iter().filter(|(link, was)| index(link).as_ref() == Some(was));
        left.extend(link.map(|(link, _)| link.clone()));
        left.extend(self.processes());
        left
    }

    /// Processes whose command line or cgroup names the cluster, or that are in its namespaces.
    fn processes(&self) -> Vec<String> {
        let me = std::process::id().to_string();
        let all = entries(Path::new("/proc")).into_iter();
        let pids = all.filter(|dir| {
            let name = dir.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.parse::<u32>().is_ok() && name != me)
        });
        let names = |dir: &PathBuf| {
            let line = fs::read_to_string(dir.join("cmdline")).unwrap_or_default();
            let group = fs::read_to_string(dir.join("cgroup")).unwrap_or_default();
            let netns = fs::metadata(dir.join("ns/net")).map(|it| it.ino());
            let stat = fs::read_to_string(dir.join("stat")).unwrap_or_default();
            if stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with(['Z', 'X'])) {
                // It has ended; only its parent has not looked.
                return None;
            }
            let ours = line.contains(&format!("/{}/", self.name))
                || line.split('\0').any(|word| word == self.name)
                || group.contains(&format!("swarm-dev-{}/", self.name))
                || netns.is_ok_and(|netns| self.netns.contains(&netns));
            ours.then(|| format!("{}: {}", dir.display(), line.replace('\0', " ")))
        };
        pids.filter_map(|dir| names(&dir)).collect()
    }
}

/// Where hierarchies of cgroups may be.
pub(crate) fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    entries(root).into_iter().chain([root.to_owned()]).collect()
}

/// Index of a link in this namespace.
fn index(link: &str) -> Option<String> {
    fs::read_to_string(format!("/sys/class/net/{link}/ifindex")).ok()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
