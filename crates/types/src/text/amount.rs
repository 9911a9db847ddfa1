//! Sizes in bytes and numbers of CPUs.

use super::decimal::Decimal;
use super::{InvalidAmount, cut};

const NANO: u64 = 1_000_000_000;

/// Reads a size as `docker run --memory` does: `512m`, `1.5GiB`, `1024`, `64 kb`.
///
/// Units are powers of 1024 whatever their spelling; a fraction of a byte is dropped.
///
/// # Errors
///
/// [`InvalidAmount::Size`] for another form or a sign, [`InvalidAmount::TooLarge`] above
/// 2^63-1 bytes.
pub fn parse_bytes(text: &str) -> Result<i64, InvalidAmount> {
    let refuse = || InvalidAmount::Size { text: cut(text) };
    let end =
        text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').ok_or_else(refuse)?;
    let (number, unit) = text.split_at(end + 1);
    let number = Decimal::parse(number.strip_suffix(' ').unwrap_or(number)).ok_or_else(refuse)?;
    let unit = byte_unit(unit).ok_or_else(refuse)?;
    let too_large = || InvalidAmount::TooLarge { text: cut(text) };
    let product = number.times(unit).ok_or_else(too_large)?;
    i64::try_from(product.whole).map_err(|_| too_large())
}

fn byte_unit(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let mut letters = unit.chars();
    let power = match letters.next() {
        None => return Some(1),
        Some('b') => 0,
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        Some(_) => return None,
    };
    let rest = letters.as_str();
    let known = rest.is_empty() || power > 0 && matches!(rest, "b" | "ib");
    known.then(|| 1 << (10 * power))
}

/// Reads a number of CPUs, decimal (`1.5`) or a fraction (`3/2`), in billionths of a CPU.
///
/// # Errors
///
/// [`InvalidAmount::Cpus`] for another form, a sign or a division by zero,
/// [`InvalidAmount::TooPrecise`] when it is no whole number of billionths,
/// [`InvalidAmount::TooLarge`] above 2^63-1 of them.
pub fn parse_cpus(text: &str) -> Result<i64, InvalidAmount> {
    let refuse = || InvalidAmount::Cpus { text: cut(text) };
    let (number, divisor) = text.split_once('/').unwrap_or((text, "1"));
    let number = Decimal::parse(number).ok_or_else(refuse)?;
    let divisor = match Decimal::parse(divisor).and_then(|it| it.times(1)) {
        Some(divisor) if divisor.exact && divisor.whole > 0 => divisor.whole,
        _ => return Err(refuse()),
    };
    let too_large = || InvalidAmount::TooLarge { text: cut(text) };
    let product = number.times(NANO).ok_or_else(too_large)?;
    if !product.exact || product.whole % divisor != 0 {
        return Err(InvalidAmount::TooPrecise { text: cut(text) });
    }
    i64::try_from(product.whole / divisor).map_err(|_| too_large())
}

const BINARY: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const DECIMAL: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// A size for people in units of 1024 with four significant digits, such as `1.5GiB`.
#[must_use]
pub fn binary_size(bytes: u64) -> String {
    size(bytes, 1024, &BINARY)
}

/// A size for people in units of 1000 with four significant digits, such as `1.5GB`.
#[must_use]
pub fn decimal_size(bytes: u64) -> String {
    size(bytes, 1000, &DECIMAL)
}

fn size(bytes: u64, base: u64, units: &[&str; 7]) -> String {
    let mut divisor = 1u128;
    let mut unit = 0;
    while u128::from(bytes) >= divisor * u128::from(base) {
        divisor *= u128::from(base);
        unit += 1;
    }
    format!("{}{}", four_digits(u128::from(bytes), divisor), units[unit])
}

/// `numerator / divisor`, below 1024, with four significant digits and no zeros at the end.
fn four_digits(numerator: u128, divisor: u128) -> String {
    let decimals = match numerator / divisor {
        0..=9 => 3,
        10..=99 => 2,
        100..=999 => 1,
        _ => 0,
    };
    let scale = 10u128.pow(decimals);
    let (scaled, rest) = (numerator * scale / divisor, numerator * scale % divisor);
    // Half goes to the even neighbour, as C's printf does.
    let up = 2 * rest > divisor || 2 * rest == divisor && scaled % 2 == 1;
    let scaled = scaled + u128::from(up);
    let text = format!("{}.{:0width$}", scaled / scale, scaled % scale, width = decimals as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("32", 32),
            ("32b", 32),
            ("32B", 32),
            ("1.9", 1),
            ("1k", 1 << 10),
            ("1kb", 1 << 10),
            ("1 KiB", 1 << 10),
            ("1.5g", 3 << 29),
            (".5m", 1 << 19),
            ("7PB", 7 << 50),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn other_sizes_are_refused() {
        for text in
            ["", "k", ".", "-1", "+1", "1e3", "1x", "1bb", "1kbb", "1kiby", "1 2", "1  k", " 1"]
        {
            assert_eq!(parse_bytes(text), Err(InvalidAmount::Size { text: text.into() }), "{text}");
        }
        for text in ["9223372036854775808", "8192p", "9999999999999999999p"] {
            let too_large = InvalidAmount::TooLarge { text: text.into() };
            assert_eq!(parse_bytes(text), Err(too_large), "{text}");
        }
    }

    #[test]
    fn cpus_are_exact_or_refused() {
        for (text, nano) in [
            ("1", 1_000_000_000),
            ("0.5", 500_000_000),
            (".000000001", 1),
            ("1/4", 250_000_000),
            ("1.50", 1_500_000_000),
        ] {
            assert_eq!(parse_cpus(text), Ok(nano), "{text}");
        }
        for text in ["", "-1", "1,5", "1/0", "1/", "/2", "a", "1e9", "1/0.5"] {
            assert_eq!(parse_cpus(text), Err(InvalidAmount::Cpus { text: text.into() }), "{text}");
        }
        for text in ["0.0000000001", "1/3"] {
            let precise = InvalidAmount::TooPrecise { text: text.into() };
            assert_eq!(parse_cpus(text), Err(precise), "{text}");
        }
        assert!(matches!(parse_cpus("9999999999"), Err(InvalidAmount::TooLarge { .. })));
    }

    #[test]
    fn sizes_are_shown_with_four_digits() {
        for (bytes, binary, decimal) in [
            (0, "0B", "0B"),
            (999, "999B", "999B"),
            (1023, "1023B", "1.023kB"),
            (1024, "1KiB", "1.024kB"),
            (1_536, "1.5KiB", "1.536kB"),
            (4 << 20, "4MiB", "4.194MB"),
            (1_048_575, "1024KiB", "1.049MB"),
            (u64::MAX, "16EiB", "18.45EB"),
        ] {
            assert_eq!(
                (binary_size(bytes).as_str(), decimal_size(bytes).as_str()),
                (binary, decimal)
            );
        }
    }

    proptest! {
        /// What is shown, read again, is the amount within four digits.
        #[test]
        fn shown_sizes_read_back(bytes in 0..1u64 << 59) {
            let read = parse_bytes(&binary_size(bytes)).unwrap();
            prop_assert!(read.unsigned_abs().abs_diff(bytes) <= bytes / 1000, "{}", read);
        }

        /// Billionths survive their decimal form, and a fraction equals its decimal.
        #[test]
        fn cpus_read_back(nano in 0..i64::MAX) {
            let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
            prop_assert_eq!(parse_cpus(&text), Ok(nano));
            if nano < 1 << 62 {
                prop_assert_eq!(parse_cpus(&format!("{nano}/1000000000")), Ok(nano));
            }
        }

        /// No text makes a parser panic.
        #[test]
        fn any_text_is_answered(text in "[0-9. /kKmMiIbBe+-]{0,24}|\\PC{0,12}") {
            prop_assert!(parse_bytes(&text).unwrap_or(0) >= 0);
            prop_assert!(parse_cpus(&text).unwrap_or(0) >= 0);
        }
    }
}
