//! The network between the nodes of a cluster.
//!
//! A bridge in a namespace of its own (the hub), where no firewall of the host sees what nodes
//! say to each other; a link from there into the host's namespace, and one into each node's. All
//! but the host's end goes with the namespaces. Every step finds what an earlier one made.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::Path;

use ipnetwork::Ipv4Network;
use swarm_net::netns;

use crate::DevError;
use crate::links::{Far, Links, Mac, inside};
use crate::partition;
use crate::place::{Place, host_link};
use crate::record::{Member, Record};

const BRIDGE: &str = "br0";
/// The hub's port to the host.
const UPLINK: &str = "host";
/// The link of a node.
pub(crate) const NODE_LINK: &str = "eth0";
const BITS: u8 = 24;

/// A hardware address of the cluster. It follows from the host number, so that neighbours who
/// remember a node are right when it is made anew.
pub(crate) const fn mac(subnet: u8, host: u8) -> Mac {
    [0x02, 0x53, 0x57, 0, subnet, host]
}

/// The lowest number of a subnet that nothing on this host leads into.
pub(crate) fn free_subnet(taken: &[u8]) -> Result<u8, DevError> {
    inside(None, async |links| {
        let routes = links.routes().await?;
        for number in 0..=u8::MAX {
            if !taken.contains(&number)
                && !overlaps(number, &routes)
                && links.index(&host_link(number)).await?.is_none()
            {
                return Ok(number);
            }
        }
        Err(DevError::NoSubnet)
    })
}

fn overlaps(number: u8, routes: &[Ipv4Network]) -> bool {
    let Ok(subnet) = Ipv4Network::new(Ipv4Addr::new(198, 18, number, 0), BITS) else {
        return true;
    };
    // The default route, or its halves as VPNs write it, leads everywhere and is in no one's way.
    let routes = routes.iter().filter(|route| route.prefix() > 1);
    routes.clone().any(|route| route.contains(subnet.network()) || subnet.contains(route.network()))
}

/// Makes the hub, its bridge and the host's link where they are missing.
pub(crate) fn make_hub(place: &Place, record: &Record) -> Result<(), DevError> {
    let hub = made(&place.hub())?;
    let link = host_link(record.subnet);
    inside(Some(&hub), async |links| {
        links.add_bridge(BRIDGE).await?;
        links.raise("lo", None).await
    })?;
    inside(None, async |links| {
        if links.index(&link).await?.is_none() {
            let far = Far { name: UPLINK, netns: &hub, mac: None };
            links.add_pair(&link, &far).await?;
        }
        links.address(&link, record.host_address(), BITS).await?;
        links.raise(&link, None).await
    })?;
    inside(Some(&hub), async |links| links.raise(UPLINK, Some(BRIDGE)).await)
}

/// Removes the host's link; the rest goes with the namespaces.
pub(crate) fn remove_host_link(record: &Record) -> Result<(), DevError> {
    inside(None, async |links| links.remove(&host_link(record.subnet)).await)
}

/// Makes a node's namespace and its link, with what is cut off, where they are missing. The hub
/// must be there.
pub(crate) fn make_node(place: &Place, record: &Record, node: Member) -> Result<(), DevError> {
    let name = node.name();
    let path = place.node(&name).netns();
    let hub = opened(&place.hub())?;
    let fresh = netns::find(&path).map_err(DevError::io("open", &path))?.is_none();
    let netns = made(&path)?;
    let address = record.address(node);
    inside(Some(&hub), async |links| {
        if fresh {
            // Its other end went with an earlier namespace, or is about to.
            links.remove(&name).await?;
        }
        if links.index(&name).await?.is_none() {
            let mac = Some(mac(record.subnet, address.octets()[3]));
            links.add_pair(&name, &Far { name: NODE_LINK, netns: &netns, mac }).await?;
        }
        links.raise(&name, Some(BRIDGE)).await
    })?;
    inside(Some(&netns), async |links: &Links| {
        links.raise("lo", None).await?;
        links.address(NODE_LINK, address, BITS).await?;
        links.raise(NODE_LINK, None).await
    })?;
    partition::apply(record, node, &netns)
}

/// The namespace bound to a file; made if there is none.
fn made(path: &Path) -> Result<File, DevError> {
    if let Some(found) = netns::find(path).map_err(DevError::io("open", path))? {
        return Ok(found);
    }
    // The thread that makes one is in it from then on.
    match std::thread::scope(|scope| scope.spawn(|| netns::make(path)).join()) {
        Ok(made) => made.map_err(DevError::io("make the namespace", path)),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

pub(crate) fn opened(path: &Path) -> Result<File, DevError> {
    let found = netns::find(path).map_err(DevError::io("open", path))?;
    let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
    found.ok_or(missing).map_err(DevError::io("open the namespace", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_into_a_subnet_or_around_it_takes_it() {
        let routes = |route: &str| vec![route.parse().unwrap()];

        for (route, taken) in [
            ("198.18.3.0/24", true),
            ("198.18.3.7/32", true),
            ("198.18.0.0/15", true),
            ("198.18.4.0/24", false),
            ("0.0.0.0/0", false),
            ("128.0.0.0/1", false),
        ] {
            assert_eq!(overlaps(3, &routes(route)), taken, "{route}");
        }
    }
}
