//! Published ports as the tables show them.

use swarm_types::Service;
use swarm_types::spec::service::{PortConfig, PublishMode};

/// All ports of a service: those the cluster has chosen numbers for, and those of its nodes.
pub(crate) fn published(service: &Service) -> Vec<PortConfig> {
    let mut ports = service.endpoint.ports.clone();
    for port in &service.spec.endpoint.ports {
        // The cluster does nothing about a node's port: the spec is all there is.
        if port.mode == PublishMode::Host && !ports.contains(port) {
            ports.push(port.clone());
        }
    }
    ports
}

/// A service's ports of the routing mesh: `*:8080->80/tcp`, with runs as one.
pub(crate) fn of_service(ports: &[PortConfig]) -> String {
    let mut ports: Vec<&PortConfig> = ports
        .iter()
        .filter(|port| port.mode == PublishMode::Ingress && port.published != 0)
        .collect();
    ports.sort_by_key(|port| (port.protocol, port.published, port.target));
    let mut runs: Vec<Run<'_>> = Vec::new();
    for port in ports {
        match runs.last_mut() {
            Some(run) if run.takes(port) => run.last = port,
            _ => runs.push(Run { first: port, last: port }),
        }
    }
    let texts: Vec<String> = runs.iter().map(Run::text).collect();
    texts.join(", ")
}

/// A task's ports on its node: `*:8080->80/tcp`.
pub(crate) fn of_task(ports: &[PortConfig]) -> String {
    let host = ports.iter().filter(|port| port.mode == PublishMode::Host);
    let texts: Vec<String> = host.map(|port| Run { first: port, last: port }.text()).collect();
    texts.join(",")
}

/// Ports that follow each other outside, and inside too or are all the same there.
struct Run<'a> {
    first: &'a PortConfig,
    last: &'a PortConfig,
}

impl Run<'_> {
    fn takes(&self, port: &PortConfig) -> bool {
        let grows = self.last.target != self.first.target;
        let is_one = self.last.published == self.first.published;
        let same = port.target == self.last.target && (is_one || !grows);
        let next = Some(port.target) == self.last.target.checked_add(1) && (is_one || grows);
        port.protocol == self.last.protocol
            && Some(port.published) == self.last.published.checked_add(1)
            && (same || next)
    }

    fn text(&self) -> String {
        let range = |first: u16, last: u16| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        let outside = range(self.first.published, self.last.published);
        let inside = range(self.first.target, self.last.target);
        format!("*:{outside}->{inside}/{}", self.first.protocol.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(published: u16, target: u16, mode: PublishMode) -> PortConfig {
        PortConfig { published, target, mode, ..PortConfig::default() }
    }

    #[test]
    fn runs_of_ports_are_shown_as_one() {
        let ingress = |ports: &[(u16, u16)]| {
            let ports: Vec<_> =
                ports.iter().map(|(a, b)| port(*a, *b, PublishMode::Ingress)).collect();
            of_service(&ports)
        };
        assert_eq!(ingress(&[(8080, 80)]), "*:8080->80/tcp");
        assert_eq!(ingress(&[(82, 82), (80, 80), (81, 81)]), "*:80-82->80-82/tcp");
        assert_eq!(ingress(&[(80, 80), (81, 80)]), "*:80-81->80/tcp");
        assert_eq!(ingress(&[(80, 80), (82, 82)]), "*:80->80/tcp, *:82->82/tcp");
        assert_eq!(ingress(&[(80, 80), (81, 80), (82, 81)]), "*:80-81->80/tcp, *:82->81/tcp");
        assert_eq!(ingress(&[(0, 80)]), "");
    }

    #[test]
    fn each_table_shows_its_own_mode() {
        let ports = [port(80, 80, PublishMode::Host), port(81, 81, PublishMode::Ingress)];
        assert_eq!(of_task(&ports), "*:80->80/tcp");
        assert_eq!(of_service(&ports), "*:81->81/tcp");
    }
}
