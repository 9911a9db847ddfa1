//! Names of Linux signals. The numbers are those of `x86_64` and `aarch64`.

const NAMES: [(&str, i32); 33] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];
/// The C library keeps 32 and 33 for itself.
const RT_MIN: i32 = 34;
const RT_MAX: i32 = 64;

/// The number of a signal: `SIGTERM`, `term`, `15` and `RTMIN+3` are understood.
///
/// `None` for anything else, also for numbers outside of 1 to 64.
#[must_use]
pub fn number(text: &str) -> Option<i32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|number| (1..=RT_MAX).contains(number));
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    match name {
        "RTMIN" => Some(RT_MIN),
        "RTMAX" => Some(RT_MAX),
        _ => real_time(name)
            .or_else(|| NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)),
    }
}

fn real_time(name: &str) -> Option<i32> {
    let (base, sign, offset) = match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
        (Some(offset), _) => (RT_MIN, 1, offset),
        (_, Some(offset)) => (RT_MAX, -1, offset),
        (None, None) => return None,
    };
    let number = base + sign * i32::from(offset.parse::<u8>().ok()?);
    (RT_MIN..=RT_MAX).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_understood() {
        for (text, expected) in [
            ("SIGTERM", 15),
            ("kill", 9),
            ("SigUsr1", 10),
            ("1", 1),
            ("64", 64),
            ("RTMIN+3", 37),
            ("SIGRTMAX-1", 63),
        ] {
            assert_eq!(number(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_signals() {
        for text in [
            "",
            "SIG",
            "0",
            "65",
            "-9",
            "TERMINATE",
            "RTMIN+31",
            "RTMAX-31",
            "RTMIN+",
            "SIGSIGTERM",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
