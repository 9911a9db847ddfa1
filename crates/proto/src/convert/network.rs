//! Networks.

use swarm_types::Network;
use swarm_types::spec::network::{IpamConfig, IpamSpec, NetworkSpec};

use crate::codec::mirror;

mirror!(NetworkSpec {
    annotations: need,
    driver: need,
    ipv6: same,
    internal: same,
    attachable: same,
    ingress: same,
    ipam: maybe,
    config_from: same,
});
mirror!(IpamSpec { driver: need, configs: list });
mirror!(IpamConfig { subnet: addr, range: maybe_addr, gateway: maybe_addr, reserved: addr_map });
mirror!(Network { id: id, meta: need, spec: need, ipam: list, vnis: same, driver_options: same });
