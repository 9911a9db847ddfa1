//! Rules about a network: its name, its kind, and that its addresses fit together.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

use super::Rule;
use super::form::{bad_dns_name, bad_label};
use crate::spec::network::{IpamConfig, IpamSpec, NetworkSpec};

pub(super) const RULES: &[Rule<NetworkSpec>] = &[
    Rule {
        id: "network-name",
        field: "Name",
        says: "invalid name: must be valid as a DNS name component, at most 63 characters",
        found: |spec| bad_dns_name(&spec.annotations),
        breaks: |spec| spec.annotations.name = String::new(),
    },
    Rule {
        id: "network-label",
        field: "Labels",
        says: "a label needs a key without blanks around it",
        found: |spec| bad_label(&spec.annotations.labels),
        breaks: |spec| drop(spec.annotations.labels.insert(String::new(), String::new())),
    },
    Rule {
        id: "ingress-attachable",
        field: "Attachable",
        says: "the ingress network cannot be attachable",
        found: |spec| (spec.ingress && spec.attachable).then(|| "both".to_owned()),
        breaks: |spec| (spec.ingress, spec.attachable) = (true, true),
    },
    Rule {
        id: "ingress-internal",
        field: "Internal",
        says: "the ingress network cannot be internal",
        found: |spec| (spec.ingress && spec.internal).then(|| "both".to_owned()),
        breaks: |spec| (spec.ingress, spec.internal) = (true, true),
    },
    Rule {
        id: "ipam-subnet",
        field: "IPAM.Config.Subnet",
        says: "invalid subnet: must be given by its first address",
        found: |spec| {
            let bad = configs(spec).iter().find(|it| it.subnet.ip() != it.subnet.network())?;
            Some(bad.subnet.to_string())
        },
        breaks: |spec| spec.ipam = one(IpamConfig { subnet: v4(10, 5, 24), ..plain() }),
    },
    Rule {
        id: "ipam-overlap",
        field: "IPAM.Config.Subnet",
        says: "the subnets of a network must not overlap",
        found: |spec| {
            let all = configs(spec);
            let pairs =
                all.iter().enumerate().flat_map(|(n, a)| all[..n].iter().map(move |b| (a, b)));
            let mut clashes = pairs.filter(|(a, b)| overlap(a.subnet, b.subnet));
            clashes.next().map(|(a, b)| format!("{} and {}", b.subnet, a.subnet))
        },
        breaks: |spec| {
            let inner = IpamConfig { subnet: v4(10, 0, 25), ..plain() };
            spec.ipam = Some(IpamSpec { configs: vec![plain(), inner], ..IpamSpec::default() });
        },
    },
    Rule {
        id: "ipam-range",
        field: "IPAM.Config.IPRange",
        says: "the address range must lie within the subnet",
        found: |spec| {
            let bad = |it: &&IpamConfig| it.range.is_some_and(|range| !within(range, it.subnet));
            let bad = configs(spec).iter().find(bad)?;
            Some(format!("{:?} and subnet {}", bad.range, bad.subnet))
        },
        breaks: |spec| spec.ipam = one(IpamConfig { range: Some(v4(11, 0, 25)), ..plain() }),
    },
    Rule {
        id: "ipam-gateway",
        field: "IPAM.Config.Gateway",
        says: "the gateway must be an address of the subnet",
        found: |spec| {
            let bad = |it: &&IpamConfig| it.gateway.is_some_and(|ip| !it.subnet.contains(ip));
            let bad = configs(spec).iter().find(bad)?;
            Some(format!("{:?} and subnet {}", bad.gateway, bad.subnet))
        },
        breaks: |spec| spec.ipam = one(IpamConfig { gateway: Some(outside()), ..plain() }),
    },
    Rule {
        id: "ipam-reserved",
        field: "IPAM.Config.AuxiliaryAddresses",
        says: "an auxiliary address must be one of the subnet, and not the gateway",
        found: |spec| {
            configs(spec).iter().find_map(|it| {
                let good = |ip: &&IpAddr| it.subnet.contains(**ip) && it.gateway != Some(**ip);
                it.reserved.values().find(|ip| !good(ip)).map(IpAddr::to_string)
            })
        },
        breaks: |spec| {
            let reserved = BTreeMap::from([("router".to_owned(), outside())]);
            spec.ipam = one(IpamConfig { reserved, ..plain() });
        },
    },
    Rule {
        id: "ipam-ipv6",
        field: "EnableIPv6",
        says: "an IPv6 subnet needs IPv6 enabled",
        found: |spec| {
            let v6 = configs(spec).iter().find(|it| it.subnet.is_ipv6())?;
            (!spec.ipv6).then(|| v6.subnet.to_string())
        },
        breaks: |spec| {
            // The documentation prefix, 2001:db8::/64.
            let subnet = Ipv6Network::new_checked([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0].into(), 64);
            spec.ipam = subnet.and_then(|it| one(IpamConfig { subnet: it.into(), ..plain() }));
        },
    },
];

fn configs(spec: &NetworkSpec) -> &[IpamConfig] {
    spec.ipam.as_ref().map(|ipam| ipam.configs.as_slice()).unwrap_or_default()
}

fn overlap(a: IpNetwork, b: IpNetwork) -> bool {
    within(a, b) || within(b, a)
}

fn within(inner: IpNetwork, outer: IpNetwork) -> bool {
    inner.prefix() >= outer.prefix() && outer.contains(inner.network())
}

fn plain() -> IpamConfig {
    IpamConfig { subnet: v4(10, 0, 24), range: None, gateway: None, reserved: BTreeMap::new() }
}

fn one(config: IpamConfig) -> Option<IpamSpec> {
    Some(IpamSpec { configs: vec![config], ..IpamSpec::default() })
}

/// `10.0.THIRD.LAST/PREFIX`; host routes when the prefix is out of range.
fn v4(third: u8, last: u8, prefix: u8) -> IpNetwork {
    let address = std::net::Ipv4Addr::new(10, 0, third, last);
    Ipv4Network::new_checked(address, prefix).unwrap_or(Ipv4Network::from(address)).into()
}

fn outside() -> IpAddr {
    v4(99, 1, 32).ip()
}
