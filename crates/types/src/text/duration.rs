//! Durations: as users type them, as the API shows them, and as a column rounds them.

use std::time::Duration;

use super::decimal::Decimal;
use super::{InvalidAmount, cut};

const NANOS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration in Go's form: `10s`, `1h30m`, `1.5h`, `0`. No sign but `+`.
///
/// # Errors
///
/// [`InvalidAmount::Duration`] for another form, [`InvalidAmount::TooLarge`] above 2^63-1
/// nanoseconds, about 292 years.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidAmount> {
    let refuse = || InvalidAmount::Duration { text: cut(text) };
    let too_large = || InvalidAmount::TooLarge { text: cut(text) };
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(refuse());
    }
    let mut total = 0u128;
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c| !is_number(c)).ok_or_else(refuse)?);
        let (unit, tail) = tail.split_at(tail.find(is_number).unwrap_or(tail.len()));
        let (_, nanos) = NANOS.iter().find(|(name, _)| *name == unit).ok_or_else(refuse)?;
        let number = Decimal::parse(number).ok_or_else(refuse)?;
        total += number.times(*nanos).ok_or_else(too_large)?.whole;
        if total > i64::MAX as u128 {
            return Err(too_large());
        }
        rest = tail;
    }
    u64::try_from(total).map(Duration::from_nanos).map_err(|_| too_large())
}

/// Writes a duration in Go's form: `0s`, `1.5ms`, `10s`, `1h0m0s`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(nanos, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(nanos, 1_000_000)),
        _ => {
            let (hours, minutes) = (duration.as_secs() / 3600, duration.as_secs() / 60);
            let seconds = decimal(nanos - u128::from(minutes) * 60_000_000_000, 1_000_000_000);
            match (hours, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// `nanos / unit` without zeros at the end; `unit` is a power of ten.
fn decimal(nanos: u128, unit: u128) -> String {
    let width = unit.ilog10() as usize;
    let text = format!("{}.{:0width$}", nanos / unit, nanos % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A duration for people, such as `About a minute` or `3 weeks`.
#[must_use]
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds.saturating_add(1800) / 3600);
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (2..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (.., 1) => "About an hour".to_owned(),
        (.., 2..48) => format!("{hours} hours"),
        (.., 48..336) => format!("{} days", hours / 24),
        (.., 336..1440) => format!("{} weeks", hours / 24 / 7),
        (.., 1440..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_and_written_as_go_does() {
        for (text, nanos, shown) in [
            ("0", 0, "0s"),
            ("1ns", 1, "1ns"),
            ("1.5us", 1_500, "1.5µs"),
            ("300ms", 300_000_000, "300ms"),
            ("+10s", 10_000_000_000, "10s"),
            ("90s", 90_000_000_000, "1m30s"),
            ("1.5h", 5_400_000_000_000, "1h30m0s"),
            ("1h", 3_600_000_000_000, "1h0m0s"),
            ("1m0.25s", 60_250_000_000, "1m0.25s"),
            ("2160h", 7_776_000_000_000_000, "2160h0m0s"),
            ("0.3ns", 0, "0s"),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
            assert_eq!(format_duration(Duration::from_nanos(nanos)), shown);
        }
    }

    #[test]
    fn other_durations_are_refused() {
        for text in ["", "+", "10", "s", "-1s", "1d", "1 s", ".s", "1.2.3s", "1S", "1s2", "++1s"] {
            let refused = Err(InvalidAmount::Duration { text: text.into() });
            assert_eq!(parse_duration(text), refused, "{text}");
        }
        for text in ["2562048h", "9223372036854775808ns", "9223372036854775807ns1ns"] {
            let too_large = Err(InvalidAmount::TooLarge { text: text.into() });
            assert_eq!(parse_duration(text), too_large, "{text}");
        }
    }

    #[test]
    fn people_read_round_durations() {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        for (seconds, shown) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (MINUTE, "About a minute"),
            (2 * MINUTE, "2 minutes"),
            (HOUR - 1, "59 minutes"),
            (HOUR, "About an hour"),
            (HOUR + 30 * MINUTE, "2 hours"),
            (2 * DAY - 31 * MINUTE, "47 hours"),
            (2 * DAY, "2 days"),
            (14 * DAY, "2 weeks"),
            (60 * DAY, "2 months"),
            (2 * 365 * DAY - HOUR, "24 months"),
            (2 * 365 * DAY, "2 years"),
        ] {
            assert_eq!(human_duration(Duration::from_secs(seconds)), shown, "{seconds}");
        }
    }

    proptest! {
        /// The written form of a duration is read as the same duration.
        #[test]
        fn durations_read_back(nanos in prop_oneof![0..2_000_000_000i64, 0..i64::MAX]) {
            let duration = Duration::from_nanos(nanos.unsigned_abs());
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        /// No text makes the parser panic, no duration the writers.
        #[test]
        fn any_input_is_answered(text in "[0-9.nuµmsh+-]{0,24}|\\PC{0,12}", seconds: u64) {
            let read = parse_duration(&text).unwrap_or_default();
            prop_assert!(read.as_nanos() <= i64::MAX as u128);
            for seconds in [seconds, u64::MAX - seconds % 4000] {
                prop_assert!(!human_duration(Duration::from_secs(seconds)).is_empty());
            }
            prop_assert!(!format_duration(Duration::new(seconds, 999_999_999)).is_empty());
        }
    }
}
