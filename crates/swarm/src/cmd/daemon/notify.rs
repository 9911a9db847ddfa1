//! Tells systemd how the daemon is, by the protocol of `sd_notify`: a datagram of words.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Who started the daemon and wants to be told; nobody, unless the environment says so.
pub(super) struct Supervisor {
    address: Option<SocketAddr>,
    /// How often it wants a sign of life.
    watchdog: Option<Duration>,
}

impl Supervisor {
    pub(super) fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok();
        Self::new(variable("NOTIFY_SOCKET").as_deref(), variable("WATCHDOG_USEC").as_deref())
    }

    fn new(socket: Option<&str>, watchdog: Option<&str>) -> Self {
        let address = |path: &str| match path.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok(),
            None => SocketAddr::from_pathname(path).ok(),
        };
        let micros = watchdog.and_then(|text| text.parse().ok()).filter(|micros| *micros > 0);
        Self { address: socket.and_then(address), watchdog: micros.map(Duration::from_micros) }
    }

    /// Sends a word; whoever does not listen does not matter.
    pub(super) fn tell(&self, word: &str) {
        let Some(address) = &self.address else { return };
        let sent = UnixDatagram::unbound()
            .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
            .and_then(|socket| socket.send_to_addr(word.as_bytes(), address));
        if let Err(error) = sent {
            tracing::warn!(%error, word, "could not tell the supervisor");
        }
    }

    /// Gives signs of life twice as often as they are wanted; never returns.
    pub(super) async fn keep_telling(&self) {
        let Some(watchdog) = self.watchdog else { return std::future::pending().await };
        loop {
            self.tell("WATCHDOG=1");
            tokio::time::sleep(watchdog / 2).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_arrive_at_a_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();

        Supervisor::new(path.to_str(), Some("1000")).tell("READY=1");

        let mut word = [0; 16];
        let length = socket.recv(&mut word).unwrap();
        assert_eq!(&word[..length], b"READY=1");
    }

    #[test]
    fn without_a_supervisor_nothing_is_told() {
        let nobody = Supervisor::new(None, Some("0"));
        nobody.tell("READY=1");
        assert!(nobody.address.is_none() && nobody.watchdog.is_none());
        assert_eq!(Supervisor::new(None, Some("2000")).watchdog, Some(Duration::from_millis(2)));
    }
}
