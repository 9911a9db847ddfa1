//! The forms of flag values, as Docker reads them. Each function takes what was typed and says
//! for people what is wrong with it; nothing here knows which flag it stood behind.

mod list;
mod mount;
mod port;

use std::ops::RangeInclusive;
use std::time::Duration;

use swarm_types::spec::container::Ulimit;
use swarm_types::spec::node::{Availability, NodeRole};
use swarm_types::spec::task::{GenericResource, PlacementPreference};

pub(crate) use list::{caps, env_file, from_environment};
pub(crate) use mount::mount;
pub(crate) use port::{port_to_remove, ports};

/// Words of a command line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Words(pub(crate) Vec<String>);

/// Splits as a shell does.
pub(crate) fn words(text: &str) -> Result<Words, String> {
    shlex::split(text).map(Words).ok_or_else(|| "a quote is not closed".to_owned())
}

/// `KEY[=VALUE]`
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.trim().is_empty() {
        return Err("a key is needed: KEY or KEY=VALUE".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// `KEY=VALUE`
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// `KEY[=VALUE]` with a key that is no blank.
pub(crate) fn variable(text: &str) -> Result<String, String> {
    match text.split('=').next() {
        Some(key) if !key.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("invalid environment variable: {text}: expected KEY or KEY=VALUE")),
    }
}

/// `NAME:IP` or `NAME=IP`, with an IPv6 address in brackets or not, as a line of a hosts file.
pub(crate) fn host(text: &str) -> Result<String, String> {
    let parts = text.split_once('=').or_else(|| text.split_once(':'));
    let (name, address) =
        parts.ok_or_else(|| format!("bad format for add-host: {text:?}: expected NAME:IP"))?;
    let bare = address.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(address);
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err("the host's name is missing: NAME:IP".to_owned());
    }
    if bare != "host-gateway" && bare.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("{address:?} is not an IP address"));
    }
    Ok(format!("{bare} {name}"))
}

/// A literal address.
pub(crate) fn address(text: &str) -> Result<String, String> {
    let address: Result<std::net::IpAddr, _> = text.trim().parse();
    let incorrect = |_| format!("IP address is not correctly formatted: {text}");
    address.map(|address| address.to_string()).map_err(incorrect)
}

/// A domain, or `.` for none.
pub(crate) fn domain(text: &str) -> Result<String, String> {
    let text = text.trim();
    let word = |part: &str| {
        let inner = part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        inner
            && !part.is_empty()
            && part.len() <= 63
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if text == "." || (text.len() <= 254 && text.trim_end_matches('.').split('.').all(word)) {
        return Ok(text.to_owned());
    }
    Err("not a domain".to_owned())
}

/// `spread=DESCRIPTOR`
pub(crate) fn preference(text: &str) -> Result<PlacementPreference, String> {
    match text.split_once('=') {
        Some((kind, descriptor)) if kind.trim() == "spread" && !descriptor.trim().is_empty() => {
            Ok(PlacementPreference::Spread { descriptor: descriptor.trim().to_owned() })
        }
        Some((kind, _)) if kind.trim() != "spread" => {
            Err(format!("the strategy {kind:?} is not known; only spread is"))
        }
        _ => Err("expected spread=DESCRIPTOR, such as spread=node.labels.rack".to_owned()),
    }
}

/// `NAME=SOFT[:HARD]`
pub(crate) fn ulimit(text: &str) -> Result<Ulimit, String> {
    const NAMES: [&str; 16] = [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    let (name, values) = text
        .split_once('=')
        .ok_or_else(|| format!("invalid ulimit argument: {text}: expected NAME=SOFT[:HARD]"))?;
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let number = |word: &str| word.parse::<i64>().map_err(|_| format!("{word:?} is not a limit"));
    let (soft, hard) = (number(soft)?, number(hard)?);
    if !NAMES.contains(&name) {
        return Err(format!("{name:?} is not a limit's name, such as nofile"));
    }
    if soft < -1 || hard < -1 || (hard != -1 && (soft == -1 || soft > hard)) {
        return Err("the soft limit must not be above the hard one".to_owned());
    }
    Ok(Ulimit { name: name.to_owned(), soft, hard })
}

/// `KIND=NUMBER`
pub(crate) fn generic(text: &str) -> Result<GenericResource, String> {
    let (kind, value) = pair(text)?;
    let value = value.parse::<i64>().ok().filter(|value| *value >= 0);
    let value = value.ok_or("services ask for a number: KIND=NUMBER")?;
    Ok(GenericResource::Discrete { kind, value })
}

/// A share of 0 to 1, in millionths.
pub(crate) fn ratio(text: &str) -> Result<u32, String> {
    let ratio = text.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    let ratio = ratio.ok_or("expected a number from 0 to 1")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000,000")]
    Ok((ratio * 1e6).round() as u32)
}

/// A whole number, 0 or more.
pub(crate) fn count<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let number = text.parse::<u64>().ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| "expected a whole number, 0 or more".to_owned())
}

/// A whole number within these bounds.
pub(crate) fn within(text: &str, bounds: RangeInclusive<i64>) -> Result<i64, String> {
    let number = text.parse::<i64>().ok().filter(|number| bounds.contains(number));
    number.ok_or_else(|| {
        format!("expected a whole number from {} to {}", bounds.start(), bounds.end())
    })
}

/// Such as `1m30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err("duration cannot be negative".to_owned());
    }
    swarm_types::text::parse_duration(text).map_err(|error| error.to_string())
}

/// Such as `512m`.
pub(crate) fn bytes(text: &str) -> Result<i64, String> {
    let invalid = |_| format!("invalid size: '{text}', expected a number with a unit such as 512m");
    swarm_types::text::parse_bytes(text).map_err(invalid)
}

/// Bytes, or -1 for no limit.
pub(crate) fn bytes_or_unlimited(text: &str) -> Result<i64, String> {
    if text == "-1" { Ok(-1) } else { bytes(text) }
}

/// Whether a node takes tasks.
pub(crate) fn availability(text: &str) -> Result<Availability, String> {
    word(
        text,
        &[
            ("active", Availability::Active),
            ("pause", Availability::Pause),
            ("drain", Availability::Drain),
        ],
    )
}

pub(crate) fn role(text: &str) -> Result<NodeRole, String> {
    word(text, &[("worker", NodeRole::Worker), ("manager", NodeRole::Manager)])
}

/// One of these words, whatever its case.
pub(crate) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("one of {}", names.join(", "))
    })
}

/// The fields of one line of comma-separated values; a field in quotes may hold commas.
pub(crate) fn fields(text: &str) -> Result<Vec<String>, String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                field.push('"');
                letters.next();
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            '"' => return Err("a quote must stand at the start of a field".to_owned()),
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    fields.push(field);
    Ok(fields)
}

#[cfg(test)]
mod tests;
