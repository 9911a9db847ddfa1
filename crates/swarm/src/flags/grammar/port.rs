//! Published ports: `[PUBLISHED:]TARGET[/PROTOCOL]` with ranges, or `target=...,published=...`.

use std::ops::RangeInclusive;

use swarm_types::spec::service::{PortConfig, Protocol, PublishMode};

use super::{fields, word};

const PROTOCOLS: [(&str, Protocol); 3] =
    [("tcp", Protocol::Tcp), ("udp", Protocol::Udp), ("sctp", Protocol::Sctp)];
const MODES: [(&str, PublishMode); 2] =
    [("ingress", PublishMode::Ingress), ("host", PublishMode::Host)];

/// One or, for ranges, several ports.
pub(crate) fn ports(text: &str) -> Result<Vec<PortConfig>, String> {
    if text.contains('=') { long(text).map(|port| vec![port]) } else { short(text) }
}

/// The port to take away: by target, protocol and mode; what is published does not count.
pub(crate) fn port_to_remove(text: &str) -> Result<PortConfig, String> {
    match ports(text)?.as_slice() {
        [only] => Ok(only.clone()),
        _ => Err("expected one target port".to_owned()),
    }
}

fn long(text: &str) -> Result<PortConfig, String> {
    let mut port = PortConfig::default();
    for field in fields(text)? {
        let (key, value) =
            field.split_once('=').ok_or_else(|| format!("invalid field {field:?}"))?;
        let value = value.to_lowercase();
        match key.to_lowercase().as_str() {
            "target" => port.target = number("target port", &value)?,
            "published" => port.published = published(&value)?,
            "protocol" => port.protocol = word(&value, &PROTOCOLS)?,
            "mode" => port.mode = word(&value, &MODES)?,
            _ => return Err(format!("invalid field key {key:?}")),
        }
    }
    if port.target == 0 {
        return Err("missing mandatory field \"target\"".to_owned());
    }
    Ok(port)
}

fn short(text: &str) -> Result<Vec<PortConfig>, String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = word(protocol, &PROTOCOLS)
        .map_err(|known| format!("invalid proto: {protocol}: {known}"))?;
    let (outside, inside) = match ports.rsplit_once(':') {
        Some((outside, _)) if outside.contains(':') || outside.contains('.') => {
            return Err(
                "hostip is not supported: a service is published on all addresses".to_owned()
            );
        }
        Some((outside, inside)) => (Some(outside).filter(|it| !it.is_empty()), inside),
        None => (None, ports),
    };
    let inside = range("containerPort", inside)?;
    let outside = outside.map(|outside| range("hostPort", outside)).transpose()?;
    let Some(outside) = outside else {
        return Ok(inside.map(|target| port(protocol, 0, target)).collect());
    };
    match (outside.len(), inside.len()) {
        (_, 1) => {
            let target = *inside.start();
            Ok(outside.map(|published| port(protocol, published, target)).collect())
        }
        (a, b) if a == b => Ok(outside
            .zip(inside)
            .map(|(published, target)| port(protocol, published, target))
            .collect()),
        _ => Err("the ranges differ in length".to_owned()),
    }
}

fn port(protocol: Protocol, published: u16, target: u16) -> PortConfig {
    PortConfig { protocol, published, target, ..PortConfig::default() }
}

fn range(what: &str, text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(what, first)?, number(what, last)?);
    if first > last {
        return Err(format!("{text:?} is not a range of ports"));
    }
    Ok(first..=last)
}

/// `what` it is in Docker's words, which scripts look for.
fn number(what: &str, text: &str) -> Result<u16, String> {
    let number = text.parse::<u16>().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("invalid {what}: {text}: expected a number from 1 to 65535"))
}

/// 0 asks for a port to be chosen.
fn published(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("{text:?} is not a port from 0 to 65535"))
}
