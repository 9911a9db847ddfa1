//! Decimal numbers of bounded length, kept exact.

/// A number that is not negative: `digits` divided by ten to the power of `scale`.
pub(super) struct Decimal {
    digits: u128,
    scale: u32,
}

/// More digits than any amount here can use; also keeps every product within 128 bits.
const DIGITS_MAX: usize = 19;

impl Decimal {
    /// Reads `12`, `1.5`, `.5` or `5.`; `None` for anything else, or more than 19 digits that
    /// count on one side of the point.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        if whole.len() > DIGITS_MAX || fraction.len() > DIGITS_MAX {
            return None;
        }
        let digits = format!("0{whole}{fraction}").parse().ok()?;
        Some(Self { digits, scale: u32::try_from(fraction.len()).ok()? })
    }

    /// The number times `by`, as a whole number and what is left of it.
    pub(super) fn times(&self, by: u64) -> Option<Product> {
        let divisor = 10u128.checked_pow(self.scale)?;
        // Whole and fraction apart: the product of all digits may need more than 128 bits.
        let whole = (self.digits / divisor).checked_mul(u128::from(by))?;
        let fraction = (self.digits % divisor).checked_mul(u128::from(by))?;
        let whole = whole.checked_add(fraction / divisor)?;
        Some(Product { whole, exact: fraction % divisor == 0 })
    }
}

/// The result of [`Decimal::times`].
pub(super) struct Product {
    /// Rounded down.
    pub(super) whole: u128,
    /// Nothing was lost by rounding.
    pub(super) exact: bool,
}
