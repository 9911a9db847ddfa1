//! Which subnet the gateway bridge has: picked once per node, clear of every route, then kept.

use std::net::Ipv4Addr;
use std::path::Path;

use ipnetwork::Ipv4Network;

use crate::error::NetError;
use crate::lease::file;
use crate::netlink::route::Way;

/// The subnet kept in `dir`, or the first clear one, which is kept from then on. Routes of the link
/// `own`, the bridge an earlier run made, are in nobody's way.
pub(crate) fn settle(
    dir: &Path,
    wish: Ipv4Network,
    routes: &[Way],
    own: u32,
) -> Result<Ipv4Network, NetError> {
    let path = dir.join("subnet");
    if let Some(kept) = file::read(&path)?.and_then(|text| text.trim().parse().ok()) {
        return Ok(kept);
    }
    let subnet = choose(wish, routes, own).ok_or(NetError::NoSubnetLeft)?;
    std::fs::create_dir_all(dir).map_err(|source| NetError::file("make", dir, source))?;
    file::write(&path, &subnet.to_string())?;
    Ok(subnet)
}

/// The wished subnet, or the next one that no route overlaps.
///
/// 10.0.0.0/8 is left to overlays.
fn choose(wish: Ipv4Network, routes: &[Way], own: u32) -> Option<Ipv4Network> {
    let first = std::iter::once(wish);
    let large = (16..=31).rev().map(|b| (Ipv4Addr::new(172, b, 0, 0), 16));
    let small = (0..16).map(|c| (Ipv4Addr::new(192, 168, c * 16, 0), 20));
    let others = large.chain(small).filter_map(|(ip, prefix)| Ipv4Network::new(ip, prefix).ok());
    first.chain(others).find(|subnet| clash(*subnet, routes, own).is_none())
}

/// A route of the host into `subnet`, other than by the link `own`.
pub(crate) fn clash(subnet: Ipv4Network, routes: &[Way], own: u32) -> Option<Ipv4Network> {
    let into = |way: &&Way| way.to.prefix() > 0 && way.link != own && subnet.overlaps(way.to);
    routes.iter().find(into).map(|way| way.to)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No link has this index.
    const NONE: u32 = u32::MAX;

    fn to(network: &str) -> Way {
        Way { to: network.parse().unwrap(), link: 3, gateway: None }
    }

    #[test]
    fn a_subnet_with_a_route_is_passed_over() {
        let wish = "172.29.0.0/16".parse().unwrap();
        let routes = [to("0.0.0.0/0"), to("172.29.4.0/24"), to("172.30.0.0/15")];

        assert_eq!(choose(wish, &routes[..1], NONE), Some(wish));
        assert_eq!(choose(wish, &routes, NONE), "172.28.0.0/16".parse().ok());
        assert_eq!(choose(wish, &[to("172.0.0.0/8"), to("192.0.0.0/8")], NONE), None);
    }

    #[test]
    fn the_bridge_does_not_clash_with_itself() {
        let subnet = "172.29.0.0/16".parse().unwrap();

        assert_eq!(choose(subnet, &[to("172.29.0.0/16")], 3), Some(subnet));
        assert_eq!(clash(subnet, &[to("172.29.0.0/16")], 3), None);
        assert_eq!(clash(subnet, &[to("172.29.0.0/16")], 4), Some(subnet));
    }

    #[test]
    fn what_was_picked_is_kept_when_a_route_appears() {
        let dir = tempfile::tempdir().unwrap();
        let wish = "172.29.0.0/16".parse().unwrap();
        settle(dir.path(), wish, &[], NONE).unwrap();

        let again = settle(dir.path(), wish, &[to("172.29.4.0/24")], NONE).unwrap();

        assert_eq!(again, wish);
    }
}
