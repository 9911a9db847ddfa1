//! Texts in the columns of a table: order, short ids, cut ends.

use std::cmp::Ordering;

const SHORT_ID: usize = 12;

/// Compares names with their digits as numbers: `web-2` comes before `web-10`.
///
/// A total order: names that differ in leading zeros only are not equal.
#[must_use]
pub fn natural_cmp(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    while let (Some(x), Some(y)) = (left.first(), right.first()) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (x, y) = (take_number(&mut left), take_number(&mut right));
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        } else {
            let order = x.cmp(y);
            (left, right) = (&left[1..], &right[1..]);
            order
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Cuts a run of digits off the front; gives it without leading zeros.
fn take_number<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    let (number, rest) = bytes.split_at(end);
    *bytes = rest;
    let zeros = number.iter().position(|byte| *byte != b'0').unwrap_or(number.len());
    &number[zeros..]
}

/// The first 12 characters of an id, without an algorithm such as `sha256:` before it.
#[must_use]
pub fn short_id(id: &str) -> &str {
    let bare = id.split_once(':').map_or(id, |(_, bare)| bare);
    bare.char_indices().nth(SHORT_ID).map_or(bare, |(end, _)| &bare[..end])
}

/// Cuts a text that is wider than `width` columns, and ends it with `…`.
///
/// East Asian wide characters take two columns. A width of 0 gives the empty text.
#[must_use]
pub fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().map(columns).sum::<usize>() <= width {
        return text.to_owned();
    }
    let Some(room) = width.checked_sub(1) else { return String::new() };
    let mut used = 0;
    let fits = |c: &char| {
        used += columns(*c);
        used <= room
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

fn columns(c: char) -> usize {
    match u32::from(c) {
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_sort_as_numbers() {
        let mut names = ["a-10", "b", "a-2", "a", "a-02", "a-2b", "a10x", "A", "a-"];
        names.sort_by(|a, b| natural_cmp(a, b));
        assert_eq!(names, ["A", "a", "a-", "a-02", "a-2", "a-2b", "a-10", "a10x", "b"]);
    }

    #[test]
    fn ids_lose_algorithm_and_tail() {
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("short"), "short");
        assert_eq!(short_id("éééééééééééééé"), "éééééééééééé");
    }

    #[test]
    fn long_texts_end_in_an_ellipsis() {
        for (text, width, cut) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("ab", 0, ""),
        ] {
            assert_eq!(ellipsis(text, width), cut);
        }
    }

    proptest! {
        /// A total order that agrees with equality.
        #[test]
        fn the_order_is_total(a in "[a0-]{0,6}[0-9]{0,3}", b in "[a0-]{0,6}[0-9]{0,3}", c in "[a0-]{0,6}[0-9]{0,3}") {
            prop_assert_eq!(natural_cmp(&a, &b), natural_cmp(&b, &a).reverse());
            prop_assert_eq!(natural_cmp(&a, &b).is_eq(), a == b);
            if natural_cmp(&a, &b).is_le() && natural_cmp(&b, &c).is_le() {
                prop_assert!(natural_cmp(&a, &c).is_le());
            }
        }

        /// A number sorts by its value.
        #[test]
        fn numbers_sort_by_value(a: u32, b: u32) {
            prop_assert_eq!(natural_cmp(&format!("n{a}"), &format!("n{b}")), a.cmp(&b));
        }

        /// Nothing is wider than it may be.
        #[test]
        fn a_cut_text_fits(text in "\\PC{0,20}", width in 0..24usize) {
            prop_assert!(ellipsis(&text, width).chars().map(columns).sum::<usize>() <= width);
        }
    }
}
