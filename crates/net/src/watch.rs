//! Puts back what others take away of the shared network.
//!
//! The kernel tells of every change of a table and of a link; a change that is not ours starts a
//! comparison at once. Every half minute one starts anyway, for what went unheard.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ipnetwork::Ipv4Network;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{error, info, warn};

use crate::error::NetError;
use crate::net::Shared;
use crate::netlink::message::Answer;
use crate::netlink::route::{Link, Links};
use crate::netlink::{Socket, nft};
use crate::netns::{THREAD, on_thread};

const FULL: Duration = Duration::from_secs(30);
/// Rest after a repair, so that a host that is busy with its own tables does not keep us busy.
const REST: Duration = Duration::from_millis(100);

/// The task that watches; it ends with this value.
#[derive(Debug)]
pub(crate) struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watch {
    /// Starts to listen before it returns: no change after that is missed.
    pub(crate) fn start(shared: Arc<Shared>) -> Result<Self, NetError> {
        let failed = |source| NetError::kernel("listen to netlink", source);
        let tables = Socket::listen()
            // SAFETY: the socket owns its descriptor and never replaces or closes it.
            .and_then(|socket| Ok(unsafe { AsyncFd::register(socket) }?))
            .map_err(failed)?;
        let links = Links::listen().map_err(failed)?;
        Ok(Self(tokio::spawn(watch(shared, tables, links))))
    }
}

async fn watch(shared: Arc<Shared>, tables: AsyncFd<Socket>, mut links: Links) {
    let mut full = interval(FULL);
    full.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut reported, mut broken) = (None, Broken::default());
    loop {
        let due = tokio::select! {
            heard = heard(&tables, |answer| nft::foreign_change(answer, THREAD)) => heard,
            () = links.heard(|news| breaks(news, shared.host.bridge())) => true,
            _ = full.tick() => {
                report_clash(&shared, &mut reported).await;
                true
            }
        };
        if !due {
            continue;
        }
        broken.report(shared.repair().await);
        sleep(REST).await;
    }
}

/// Why the last repair failed; empty when it did not. Told when it changes, not for each try.
#[derive(Debug, Default)]
struct Broken(String);

impl Broken {
    /// Says whether something was told.
    fn report(&mut self, repaired: Result<(), NetError>) -> bool {
        let why = repaired.as_ref().map_or_else(with_causes, |()| String::new());
        if why == self.0 {
            return false;
        }
        if why.is_empty() {
            info!("the gateway network is whole again");
        } else {
            error!(why, "the gateway network cannot be repaired; it is tried again");
        }
        self.0 = why;
        true
    }
}

fn with_causes(error: &NetError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

/// Waits for notifications and says whether one `matters`. Lost ones do.
async fn heard(socket: &AsyncFd<Socket>, matters: impl Fn(&Answer) -> bool) -> bool {
    let Ok(mut ready) = socket.readable().await else { return true };
    let mut due = false;
    loop {
        match ready.get_inner().receive() {
            Ok(answers) => due |= answers.iter().any(&matters),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready.clear_ready();
                return due;
            }
            Err(_) => due = true,
        }
    }
}

/// Whether a link's news is that the bridge is gone or down.
fn breaks(news: &RouteNetlinkMessage, bridge: &str) -> bool {
    let (RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link)) = news else {
        return false;
    };
    // Other families tell of the bridge as a switch.
    let whole = link.header.interface_family == AddressFamily::Unspec;
    let gone = matches!(news, RouteNetlinkMessage::DelLink(_));
    let link = Link::from(link.clone());
    whole && (gone || !link.up) && link.name == bridge
}

async fn report_clash(shared: &Arc<Shared>, reported: &mut Option<Ipv4Network>) {
    let host = Arc::clone(shared);
    let Ok(found) = on_thread(move || host.host.clash()).await else { return };
    if found.is_some() && found != *reported {
        warn!(
            subnet = %shared.host.subnet(), route = ?found,
            "a route of this host leads into the gateway bridge's subnet"
        );
    }
    *reported = found;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_once_until_it_changes() {
        let failed =
            |what: &str| Err(NetError::kernel(what, io::ErrorKind::PermissionDenied.into()));
        let mut broken = Broken::default();

        let told = [Ok(()), failed("a"), failed("a"), failed("b"), Ok(()), Ok(()), failed("b")]
            .map(|repaired| broken.report(repaired));

        assert_eq!(told, [false, true, false, true, true, false, true]);
    }
}
