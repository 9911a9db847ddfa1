//! Shims that containerd has forgotten.
//!
//! containerd 1.6, killed while it starts a shim, may come back without it: its own clean-up
//! fails on a bundle in which nothing was made yet. The shim then waits for a first call that
//! never comes. Its bundle goes when containerd starts again and finds no container for it.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What tells a shim from all other processes: each option is followed by its value.
#[derive(Clone, Debug)]
pub(super) struct Shim {
    pub(super) namespace: String,
    pub(super) id: String,
    /// containerd's socket.
    pub(super) address: String,
}

impl Shim {
    /// Ends the shims of this container, whose process, if it ever has one, must be gone.
    pub(super) fn end(&self) {
        let Ok(processes) = fs::read_dir("/proc") else { return };
        for entry in processes.flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if let Some(pid) = pid.filter(|_| self.is(&line)) {
                tracing::info!(id = self.id, pid, "end a shim that containerd has forgotten");
                // Gone by itself meanwhile, or it takes the signal.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }

    /// Whether a command line, its words each ended by a zero, is one of them.
    fn is(&self, line: &[u8]) -> bool {
        let mut words = line.split(|byte| *byte == 0).filter_map(|it| str::from_utf8(it).ok());
        let program = words.next().and_then(|path| Path::new(path).file_name()?.to_str());
        let words: Vec<&str> = words.collect();
        let has = |option, value: &str| words.windows(2).any(|pair| pair == [option, value]);
        program.is_some_and(|name| name.starts_with("containerd-shim"))
            && has("-namespace", &self.namespace)
            && has("-id", &self.id)
            && has("-address", &self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shims_of_this_container_are_meant() {
        let (namespace, id, address) = ("swarm".into(), "one".into(), "/run/c.sock".into());
        let shim = Shim { namespace, id, address };
        let is = |line: &str| shim.is(line.replace(' ', "\0").as_bytes());

        assert!(is(
            "/usr/bin/containerd-shim-runc-v2 -namespace swarm -id one -address /run/c.sock"
        ));
        assert!(is("containerd-shim-runc-v2 -namespace swarm -address /run/c.sock -id one start"));
        assert!(!is("containerd-shim-runc-v2 -namespace swarm -id one2 -address /run/c.sock"));
        assert!(!is("containerd-shim-runc-v2 -namespace k8s.io -id one -address /run/c.sock"));
        assert!(!is("containerd-shim-runc-v2 -namespace swarm -id one -address /run/d.sock"));
        assert!(!is("vi -namespace swarm -id one -address /run/c.sock"));
        assert!(!is(""));
    }
}
