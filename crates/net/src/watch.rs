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
use tracing::warn;

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
    let mut reported = None;
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
        if let Err(error) = shared.repair().await {
            warn!(error = &error as &dyn std::error::Error, "the gateway network is not repaired");
        }
        sleep(REST).await;
    }
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
