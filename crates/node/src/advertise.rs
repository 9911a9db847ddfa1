//! Which address the other nodes are told. As Docker: the one asked for, else the one listened
//! on, else the only one this host has.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use crate::NodeError;

/// Interfaces the node makes itself begin like that: their addresses mean nothing to others.
const OURS: &str = "sw";

/// An address of this host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) ip: IpAddr,
    /// Who reaches it, as far as this host knows.
    pub(crate) reach: Reach,
}

/// Who reaches an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// Other hosts, perhaps.
    Others,
    /// This host alone: loopback, what the node made itself, and what is down.
    Itself,
}

/// All addresses of this host.
pub(crate) fn interfaces() -> Vec<Interface> {
    // An error leaves none, and the refusal then says how to name one.
    let all = getifaddrs().into_iter().flatten();
    let addressed = all.filter_map(|it| {
        let address = it.address?;
        let v4 = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
        let v6 = || {
            let ip = address.as_sockaddr_in6()?.ip();
            (!ip.is_unicast_link_local()).then_some(IpAddr::V6(ip))
        };
        let ip = v4.or_else(v6)?;
        let reachable = it.flags.contains(InterfaceFlags::IFF_UP)
            && !it.flags.contains(InterfaceFlags::IFF_LOOPBACK)
            && !it.interface_name.starts_with(OURS);
        let reach = if reachable { Reach::Others } else { Reach::Itself };
        Some(Interface { name: it.interface_name, ip, reach })
    });
    addressed.collect()
}

/// The address to tell, when `asked` is an IP address or an interface with or without a port,
/// or empty, and the managers' port is `listened` on.
pub(crate) fn choose(
    asked: &str,
    listened: SocketAddr,
    interfaces: &[Interface],
) -> Result<SocketAddr, NodeError> {
    let (host, port) = split(asked, listened.port())?;
    let ip = match host {
        "" if !listened.ip().is_unspecified() => listened.ip(),
        "" => only(interfaces, "this host")?,
        host => match host.parse() {
            Ok(ip) => ours(ip, listened, interfaces)?,
            Err(_) => {
                let named: Vec<_> = interfaces.iter().filter(|it| it.name == host).collect();
                if named.is_empty() {
                    let why = format!("{host} is no IP address and no interface with an address");
                    return Err(none(format!("{why}; {}", has(interfaces))));
                }
                only(named, &format!("interface {host}"))?
            }
        },
    };
    Ok(SocketAddr::new(ip, port))
}

/// The address of this host that one of the managers sees, with the port that is listened on.
pub(crate) fn towards(managers: &[String], listened: SocketAddr) -> Option<SocketAddr> {
    let seen = managers.iter().find_map(|manager| {
        let any = if listened.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).ok()?;
        // Sends nothing: it looks the route up.
        socket.connect(manager).ok()?;
        socket.local_addr().ok()
    });
    seen.map(|seen| SocketAddr::new(seen.ip(), listened.port()))
}

/// Where others are told that this host is now, when it has lost the address they were told.
///
/// One that it never had, that of a NAT before it, comes with a listening address that was named
/// ([`choose`]), and stays. `None` leaves everything as it is, also when it is not clear which.
pub(crate) fn moved(
    advertise: SocketAddr,
    listened: SocketAddr,
    managers: &[String],
    interfaces: &[Interface],
) -> Option<SocketAddr> {
    let ip = advertise.ip();
    let here = ip.is_loopback() || interfaces.iter().any(|it| it.ip == ip);
    if here || !listened.ip().is_unspecified() {
        return None;
    }
    let chosen = choose("", listened, interfaces).ok().or_else(|| towards(managers, listened));
    chosen.map(|chosen| SocketAddr::new(chosen.ip(), advertise.port()))
}

/// Whether that address, `HOST:PORT`, leads to this host's own manager: it is where others are told
/// it is, or where it listens. A node must not ask itself what only others know.
pub(crate) fn is_own(
    manager: &str,
    advertise: SocketAddr,
    listened: SocketAddr,
    interfaces: &[Interface],
) -> bool {
    let Ok(address) = manager.parse::<SocketAddr>() else { return false };
    let here = address.ip().is_loopback() || interfaces.iter().any(|here| here.ip == address.ip());
    let listens = if listened.ip().is_unspecified() { here } else { address.ip() == listened.ip() };
    address == advertise
        || (listens && address.port() == listened.port())
        || (address.ip().is_loopback() && address.port() == advertise.port())
}

/// An address that was asked for. As with Docker, one that this host does not have, such as that
/// of a NAT before it, needs a listening address that was named too: else it is a slip.
fn ours(ip: IpAddr, listened: SocketAddr, interfaces: &[Interface]) -> Result<IpAddr, NodeError> {
    if ip.is_unspecified() {
        return Err(none(format!("{ip} is no address others can reach")));
    }
    let here = ip.is_loopback() || interfaces.iter().any(|it| it.ip == ip);
    if here || !listened.ip().is_unspecified() {
        return Ok(ip);
    }
    Err(NodeError::Elsewhere { ip, has: has(interfaces) })
}

/// The addresses that others may reach, for people.
fn has(interfaces: &[Interface]) -> String {
    let reachable: Vec<_> = interfaces.iter().filter(|it| it.reach == Reach::Others).collect();
    match reachable.as_slice() {
        [] => "this host has no address that others can reach".to_owned(),
        some => format!("this host has {}", listed(some)),
    }
}

fn listed(interfaces: &[&Interface]) -> String {
    let each = interfaces.iter().map(|it| format!("{} on interface {}", it.ip, it.name));
    each.collect::<Vec<_>>().join(" and ")
}

/// Host and port; a bare IPv6 address has colons of its own.
fn split(asked: &str, default: u16) -> Result<(&str, u16), NodeError> {
    if asked.parse::<IpAddr>().is_ok() {
        return Ok((asked, default));
    }
    let Some((host, port)) = asked.rsplit_once(':') else { return Ok((asked, default)) };
    let port = port.parse().map_err(|_| none(format!("{port:?} is no port")))?;
    Ok((host.trim_start_matches('[').trim_end_matches(']'), port))
}

/// The one address among these; IPv4 is preferred, as by Docker.
fn only<'a>(of: impl IntoIterator<Item = &'a Interface>, whose: &str) -> Result<IpAddr, NodeError> {
    let reachable = of.into_iter().filter(|it| it.reach == Reach::Others);
    let (v4, v6): (Vec<_>, Vec<_>) = reachable.partition(|it| it.ip.is_ipv4());
    let candidates = if v4.is_empty() { v6 } else { v4 };
    match candidates.as_slice() {
        [] => Err(none(format!("{whose} has no address that others can reach"))),
        [only] => Ok(only.ip),
        many => Err(none(format!("{whose} has several addresses ({})", listed(many)))),
    }
}

const fn none(why: String) -> NodeError {
    NodeError::NoAddress { why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(addresses: &[(&str, &str)]) -> Vec<Interface> {
        let interface = |&(name, ip): &(&str, &str)| Interface {
            name: name.to_owned(),
            ip: ip.parse().unwrap(),
            reach: if name == "lo" { Reach::Itself } else { Reach::Others },
        };
        addresses.iter().map(interface).collect()
    }

    fn chosen(asked: &str, listened: &str, addresses: &[(&str, &str)]) -> Result<String, String> {
        let address = choose(asked, listened.parse().unwrap(), &host(addresses));
        address.map(|it| it.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_only_address_is_chosen() {
        let anywhere = "0.0.0.0:2377";
        let both = [("eth0", "10.0.0.5"), ("eth0", "2001:db8::5")];

        assert_eq!(chosen("", anywhere, &both).unwrap(), "10.0.0.5:2377");
        assert_eq!(chosen("", "192.0.2.1:7", &both).unwrap(), "192.0.2.1:7");
        assert_eq!(chosen("", anywhere, &both[1..]).unwrap(), "[2001:db8::5]:2377");
    }

    #[test]
    fn what_was_asked_for_wins() {
        let two = [
            ("eth0", "10.0.0.5"),
            ("eth1", "10.1.0.5"),
            ("eth1", "2001:db8::9"),
            ("lo", "127.0.0.1"),
        ];
        for (asked, expected) in [
            ("10.0.0.5", "10.0.0.5:2377"),
            ("10.0.0.5:99", "10.0.0.5:99"),
            ("2001:db8::9", "[2001:db8::9]:2377"),
            ("[2001:db8::9]:99", "[2001:db8::9]:99"),
            ("127.0.0.1:99", "127.0.0.1:99"),
            ("eth1", "10.1.0.5:2377"),
            ("eth1:99", "10.1.0.5:99"),
        ] {
            assert_eq!(chosen(asked, "0.0.0.0:2377", &two).unwrap(), expected, "{asked}");
        }
    }

    #[test]
    fn an_address_of_elsewhere_needs_one_to_listen_on() {
        let two = [("eth0", "10.0.0.5"), ("lo", "127.0.0.1")];

        let refusal = chosen("192.0.2.9", "0.0.0.0:2377", &two).unwrap_err();

        for word in ["192.0.2.9", "10.0.0.5 on interface eth0", "--listen-addr"] {
            assert!(refusal.contains(word), "{word}: {refusal}");
        }
        assert!(refusal.contains("must specify a listening address"), "{refusal}");
        assert!(!refusal.contains("127.0.0.1"), "{refusal}");
        assert_eq!(chosen("192.0.2.9", "10.0.0.5:7", &two).unwrap(), "192.0.2.9:7");
    }

    #[test]
    fn a_lost_address_is_replaced_when_it_is_clear_by_which() {
        let one = [("eth0", "10.0.0.5"), ("lo", "127.0.0.1")];
        let two = [("eth0", "10.0.0.5"), ("eth1", "10.1.0.5")];
        let moved = |advertise: &str, listened: &str, addresses: &[(&str, &str)]| {
            let (advertise, listened) = (advertise.parse().unwrap(), listened.parse().unwrap());
            moved(advertise, listened, &[], &host(addresses)).map(|it| it.to_string())
        };
        let anywhere = "0.0.0.0:2377";

        assert_eq!(moved("10.0.0.9:99", anywhere, &one).as_deref(), Some("10.0.0.5:99"));
        for still in ["10.0.0.5:99", "127.0.0.1:99"] {
            assert_eq!(moved(still, anywhere, &one), None, "{still}");
        }
        assert_eq!(moved("192.0.2.9:99", "10.0.0.5:2377", &one), None, "behind NAT");
        assert_eq!(moved("10.0.0.9:99", anywhere, &two), None, "either of two");
        assert_eq!(moved("10.0.0.9:99", anywhere, &[]), None, "no network yet");
    }

    #[test]
    fn a_node_knows_its_own_addresses() {
        let host = host(&[("eth0", "10.0.0.5"), ("lo", "127.0.0.1")]);
        let is_own = |manager: &str, advertise: &str, listened: &str| {
            is_own(manager, advertise.parse().unwrap(), listened.parse().unwrap(), &host)
        };
        for own in ["10.0.0.5:2377", "127.0.0.1:2377", "192.0.2.9:99", "127.0.0.1:99"] {
            assert!(is_own(own, "192.0.2.9:99", "0.0.0.0:2377"), "{own}");
        }
        assert!(is_own("10.0.0.5:7", "192.0.2.9:99", "10.0.0.5:7"), "behind NAT");
        for other in ["10.0.0.6:2377", "10.0.0.5:2378", "192.0.2.9:2377", "host:2377"] {
            assert!(!is_own(other, "192.0.2.9:99", "0.0.0.0:2377"), "{other}");
        }
        assert!(!is_own("10.0.0.6:7", "192.0.2.9:99", "10.0.0.5:7"));
    }

    #[test]
    fn what_cannot_be_chosen_names_the_flag() {
        let two = [("eth0", "10.0.0.5"), ("eth1", "10.1.0.5"), ("lo", "127.0.0.1")];
        for (asked, addresses, word) in [
            ("lo", &two[..], "interface lo has no address that others can reach"),
            ("eth7", &two, "this host has 10.0.0.5 on interface eth0 and 10.1.0.5"),
            ("", &two, "several addresses (10.0.0.5 on interface eth0 and 10.1.0.5"),
            ("", &[], "no address that others can reach"),
            ("eth7", &two, "eth7 is no IP address and no interface"),
            ("0.0.0.0", &two, "no address others can reach"),
            ("10.0.0.5:x", &two, "no port"),
        ] {
            let refusal = chosen(asked, "0.0.0.0:2377", addresses).unwrap_err();
            assert!(refusal.contains(word), "{refusal}");
            assert!(refusal.contains("--advertise-addr"), "{refusal}");
        }
    }
}
