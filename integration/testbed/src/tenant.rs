//! A namespace of containerd for one test.
//!
//! Starting containerd is most of what a small test costs, so the tests of a process share one.
//! It is there as long as somebody has a namespace in it: statics are never dropped, so the
//! process keeps no hold on it. Tests that restart it have one alone.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

use crate::Containerd;
use crate::containerd::unmount_below;

#[derive(Debug)]
struct Daemon {
    // Dropped in this order: the daemon before its directory.
    containerd: Containerd,
    _dir: Memory,
}

impl Daemon {
    fn start() -> Arc<Self> {
        let dir = Memory::new();
        Arc::new(Self { containerd: Containerd::start(dir.0.path()), _dir: dir })
    }
}

/// A namespace, with a directory. What runs in it is ended when dropped.
#[derive(Debug)]
pub struct Tenant {
    namespace: String,
    daemon: Arc<Daemon>,
    dir: Memory,
}

impl Tenant {
    /// In the containerd that the tests of this process share.
    ///
    /// # Panics
    ///
    /// As [`Containerd::start`].
    #[must_use]
    pub fn shared() -> Self {
        static SHARED: Mutex<Weak<Daemon>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let daemon = shared.upgrade().unwrap_or_else(Daemon::start);
        *shared = Arc::downgrade(&daemon);
        Self::of(daemon)
    }

    /// In a containerd of its own.
    ///
    /// # Panics
    ///
    /// As [`Containerd::start`].
    #[must_use]
    pub fn alone() -> Self {
        Self::of(Daemon::start())
    }

    fn of(daemon: Arc<Daemon>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let namespace = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { namespace, daemon, dir: Memory::new() }
    }

    /// The namespace's name.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// An empty directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.0.path()
    }

    /// The daemon the namespace is in.
    #[must_use]
    pub fn containerd(&self) -> &Containerd {
        &self.daemon.containerd
    }

    /// The daemon, to restart it.
    ///
    /// # Panics
    ///
    /// When it is shared.
    #[must_use]
    pub fn containerd_mut(&mut self) -> &mut Containerd {
        let daemon = Arc::get_mut(&mut self.daemon);
        &mut daemon.unwrap_or_else(|| panic!("others use this containerd")).containerd
    }

    /// A cgroup parent of its own, absolute within each hierarchy.
    #[must_use]
    pub fn cgroup_parent(&self) -> String {
        format!("{}/{}", self.containerd().cgroup_parent(), self.namespace)
    }

    /// As [`Containerd::cgroups`], below [`Tenant::cgroup_parent`].
    #[must_use]
    pub fn cgroups(&self, name: &str) -> Vec<PathBuf> {
        self.containerd().cgroups(&format!("{}/{name}", self.namespace))
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.containerd().end_shims(Some(&self.namespace));
    }
}

/// A directory in memory: waiting for disks is most of what containerd does there.
#[derive(Debug)]
struct Memory(TempDir);

impl Memory {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("tb").tempdir();
        let dir = dir.unwrap_or_else(|why| panic!("make a directory: {why}"));
        let (kind, flags) = (Some("tmpfs"), MsFlags::empty());
        let mounted = mount(kind, dir.path(), kind, flags, Some("mode=755"));
        mounted.unwrap_or_else(|why| panic!("mount a file system in memory: {why}"));
        Self(dir)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        unmount_below(self.0.path());
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}
