//! One node per network namespace.
//!
//! An abstract socket is the claim: its names belong to the network namespace, and the kernel
//! drops it with the process, so nothing stale is ever left behind.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use crate::NodeError;

const NAME: &[u8] = b"swarm/daemon";

/// The claim of a running node.
#[derive(Debug)]
pub(crate) struct OnlyOne {
    _claim: UnixListener,
}

impl OnlyOne {
    pub(crate) fn claim() -> Result<Self, NodeError> {
        let refuse =
            |source| NodeError::Io { action: "claim", path: "@swarm/daemon".into(), source };
        let name = SocketAddr::from_abstract_name(NAME).map_err(refuse)?;
        match UnixListener::bind_addr(&name) {
            Ok(claim) => Ok(Self { _claim: claim }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                Err(NodeError::Taken { first: holder(&name) })
            }
            Err(error) => Err(refuse(error)),
        }
    }
}

fn holder(name: &SocketAddr) -> String {
    let credentials = UnixStream::connect_addr(name)
        .ok()
        .and_then(|stream| getsockopt(&stream, PeerCredentials).ok());
    match credentials {
        Some(it) => format!("a swarm daemon runs here already, with pid {}", it.pid()),
        None => "a swarm daemon runs here already".to_owned(),
    }
}
