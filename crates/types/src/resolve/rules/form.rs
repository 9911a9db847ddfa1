//! Forms of names and texts, and searches that several rules share.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::spec::Annotations;

/// What users read of a text that is wrong: quoted and of bounded length.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(64).collect();
    format!("{short:?}")
}

/// The first of `texts` that is not `good`.
pub(super) fn first_bad<'a>(
    texts: impl IntoIterator<Item = &'a String>,
    good: fn(&str) -> bool,
) -> Option<String> {
    texts.into_iter().find(|text| !good(text)).map(|text| shown(text))
}

/// The first item that occurs twice.
pub(super) fn twice<T: Ord + Copy>(items: impl IntoIterator<Item = T>) -> Option<T> {
    let mut seen = BTreeSet::new();
    items.into_iter().find(|item| !seen.insert(*item))
}

/// Letters and digits at both ends, `-` and `_` within, at most 63 characters.
pub(super) fn is_dns_name(text: &str) -> bool {
    is_name(text, b"-_", 63)
}

/// Letters and digits at both ends, `-`, `_` and `.` within, at most 64 characters.
pub(super) fn is_file_name(text: &str) -> bool {
    is_name(text, b"-_.", 64)
}

fn is_name(text: &str, within: &[u8], max: usize) -> bool {
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= max
        && ends(text.bytes().next())
        && ends(text.bytes().next_back())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || within.contains(&byte))
}

/// A label's key that is empty, or has blanks or control characters at its ends.
pub(super) fn bad_label(labels: &std::collections::BTreeMap<String, String>) -> Option<String> {
    first_bad(labels.keys(), |key| !key.is_empty() && key.trim() == key && !key.contains('\0'))
}

/// [`is_dns_name`] of the name of an object.
pub(super) fn bad_dns_name(annotations: &Annotations) -> Option<String> {
    (!is_dns_name(&annotations.name)).then(|| shown(&annotations.name))
}

/// [`is_file_name`] of the name of an object.
pub(super) fn bad_file_name(annotations: &Annotations) -> Option<String> {
    (!is_file_name(&annotations.name)).then(|| shown(&annotations.name))
}

/// Docker's API counts nanoseconds in 64 bits; what does not fit could not be shown.
pub(super) fn too_long(durations: &[Duration]) -> Option<String> {
    let fits = |it: &Duration| i64::try_from(it.as_nanos()).is_ok();
    durations.iter().find(|it| !fits(it)).map(|it| format!("{} seconds", it.as_secs()))
}
