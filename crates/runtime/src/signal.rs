//! Signals by name or number.

use std::str::FromStr;

/// A signal a container can be sent, 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signal(u8);

/// Not a signal.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown signal {0:?}")]
pub struct UnknownSignal(pub String);

impl Signal {
    /// Asks a process to end.
    pub const TERM: Self = Self(15);
    /// Ends a process.
    pub const KILL: Self = Self(9);

    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0.into()
    }
}

impl FromStr for Signal {
    type Err = UnknownSignal;

    /// Reads `SIGTERM`, `term`, `15`, `RTMIN+3`, `SIGRTMAX-1`.
    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let unknown = || UnknownSignal(text.into());
        if let Ok(number) = text.parse::<u8>() {
            return if (1..=64).contains(&number) { Ok(Self(number)) } else { Err(unknown()) };
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(number) = real_time(name) {
            return Ok(Self(number));
        }
        let known: nix::sys::signal::Signal =
            format!("SIG{name}").parse().map_err(|_| unknown())?;
        u8::try_from(known as i32).map(Self).map_err(|_| unknown())
    }
}

/// glibc's numbering, which is what names mean to people.
fn real_time(name: &str) -> Option<u8> {
    let offset = |rest: &str, sign: char| match rest {
        "" => Some(0),
        _ => rest.strip_prefix(sign)?.parse::<u8>().ok().filter(|offset| *offset <= 30),
    };
    match name.strip_prefix("RTMIN") {
        Some(rest) => Some(34 + offset(rest, '+')?),
        None => Some(64 - offset(name.strip_prefix("RTMAX")?, '-')?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_mean_the_same() {
        for (text, number) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("9", 9),
            ("SIGUSR1", 10),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("rtmax-1", 63),
            ("64", 64),
        ] {
            assert_eq!(text.parse::<Signal>().map(Signal::number), Ok(number), "{text}");
        }
        for text in ["", "0", "65", "SIG", "RTMIN+31", "RTMIN-1", "TERM ", "-9"] {
            assert!(text.parse::<Signal>().is_err(), "{text:?}");
        }
    }
}
