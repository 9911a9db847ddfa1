//! A socket in a node, for seeing who hears whom.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use crate::Cluster;

/// How long a datagram may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(5);

/// An UDP socket in a node's network. Datagrams of one machine arrive in order or not at all.
#[derive(Debug)]
pub struct Probe {
    socket: UdpSocket,
    address: SocketAddr,
}

impl Probe {
    /// A socket in a node.
    ///
    /// # Panics
    ///
    /// When there is no such node.
    #[must_use]
    pub fn new(cluster: &Cluster, node: &str) -> Self {
        let row = cluster.status(node);
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let open = || {
            let netns = File::open(text("Netns"))?;
            setns(&netns, CloneFlags::CLONE_NEWNET)?;
            let socket = UdpSocket::bind(format!("{}:0", text("Address")))?;
            socket.set_read_timeout(Some(ARRIVAL))?;
            Ok::<_, std::io::Error>(socket)
        };
        // A thread never leaves a namespace.
        let socket = thread::scope(|scope| scope.spawn(open).join());
        let socket = socket.unwrap_or_else(|_| panic!("open a socket in {node}"));
        let socket = socket.unwrap_or_else(|why| panic!("open a socket in {node}: {why}"));
        let address = socket.local_addr().unwrap_or_else(|why| panic!("{why}"));
        Self { socket, address }
    }

    /// Sends a word to another.
    ///
    /// # Panics
    ///
    /// When the kernel refuses: what is cut off must be lost without a sound.
    #[track_caller]
    pub fn tell(&self, other: &Self, word: &str) {
        let sent = self.socket.send_to(word.as_bytes(), other.address);
        sent.unwrap_or_else(|why| panic!("send {word}: {why}"));
    }

    /// The next word that arrives.
    ///
    /// # Panics
    ///
    /// When none does in time.
    #[track_caller]
    #[must_use]
    pub fn hear(&self) -> String {
        let mut word = [0; 64];
        let heard = self.socket.recv(&mut word);
        let length = heard.unwrap_or_else(|why| panic!("nothing arrives: {why}"));
        String::from_utf8_lossy(&word[..length]).into_owned()
    }
}
