//! Points in time as users type them: a duration before now, a date, or seconds since the epoch.

use std::time::Duration;

use swarm_types::Timestamp;
use swarm_types::text::parse_duration;

/// A point in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    /// That long before now.
    Ago(Duration),
    At(Timestamp),
}

impl Moment {
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => {
                let ago = i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX);
                Timestamp(now.0.saturating_sub(ago))
            }
        }
    }
}

/// Reads `10m`, `2026-01-02T03:04:05Z`, `2026-01-02` or `1767323045.5`.
pub(crate) fn parse(text: &str) -> Result<Moment, String> {
    if let Ok(ago) = parse_duration(text) {
        return Ok(Moment::Ago(ago));
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |it: &str| it.chars().all(|c| c.is_ascii_digit());
    if !seconds.is_empty() && digits(seconds) && digits(fraction) && fraction.len() <= 9 {
        let nanos = format!("{seconds}{fraction:0<9}").parse();
        return nanos.map(|nanos| Moment::At(Timestamp(nanos))).map_err(|_| "too large".to_owned());
    }
    let date = text.parse::<jiff::Timestamp>().or_else(|_| {
        let local = text.parse::<jiff::civil::DateTime>();
        local.and_then(|it| it.to_zoned(jiff::tz::TimeZone::UTC)).map(|it| it.timestamp())
    });
    let nanos = date.ok().and_then(|date| i64::try_from(date.as_nanosecond()).ok());
    let moment = nanos.map(|nanos| Moment::At(Timestamp(nanos)));
    moment.ok_or_else(|| "expected a duration such as 10m, a date, or seconds".to_owned())
}

/// RFC 3339 with nine decimals, in UTC, as Docker marks lines.
pub(crate) fn nine_digits(at: Timestamp) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_dockers_forms() {
        let now = Timestamp(100_000_000_000);
        for (text, seconds) in [
            ("10s", 90),
            ("50", 50),
            ("1970-01-01T00:00:07Z", 7),
            ("1970-01-01", 0),
            ("1970-01-01T00:00:09", 9),
        ] {
            assert_eq!(parse(text).unwrap().at(now), Timestamp(seconds * 1_000_000_000), "{text}");
        }
        assert_eq!(parse("1.5").unwrap().at(now), Timestamp(1_500_000_000));
        for text in ["", "soon", "1970-13-01", "1.x", "-5s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
