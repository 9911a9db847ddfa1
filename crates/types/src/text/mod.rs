//! The texts in which users give and read amounts, as Docker writes them.
//!
//! Parsers are exact: no floating point, no value that is silently rounded. They refuse what is
//! negative or does not fit; flags that allow `-1` look for it before they ask here.

mod amount;
mod column;
mod decimal;
mod duration;

pub use amount::{binary_size, decimal_size, parse_bytes, parse_cpus};
pub use column::{ellipsis, natural_cmp, short_id};
pub use duration::{format_duration, human_duration, parse_duration};

/// Why a text is not an amount.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidAmount {
    /// Not a size such as `512m` or `1.5GiB`.
    #[error("invalid size: {text:?}")]
    Size {
        /// The text, cut to a bounded length.
        text: String,
    },
    /// Not a number of CPUs such as `1.5` or `3/2`.
    #[error("invalid cpu value: {text:?} is not a decimal number or a fraction")]
    Cpus {
        /// The text, cut to a bounded length.
        text: String,
    },
    /// More digits than billionths of a CPU can hold.
    #[error("value is too precise: {text:?} is no whole number of billionths")]
    TooPrecise {
        /// The text, cut to a bounded length.
        text: String,
    },
    /// Not a duration such as `1m30s`.
    #[error("invalid duration: {text:?}, expected numbers with units such as 300ms or 1h30m")]
    Duration {
        /// The text, cut to a bounded length.
        text: String,
    },
    /// Does not fit 64 bits.
    #[error("{text:?} is too large")]
    TooLarge {
        /// The text, cut to a bounded length.
        text: String,
    },
}

/// A bounded copy of what was typed, for an error.
fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}
