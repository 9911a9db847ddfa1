//! Figures and how they are printed.

use std::fmt::Display;
use std::time::Duration;

/// Prints a figure.
#[expect(clippy::print_stdout, reason = "figures are the product")]
pub(crate) fn figure(name: &str, value: f64, unit: &str) {
    let digits = if value.abs() >= 1000.0 { 0 } else { 3 };
    println!("{name} {value:.digits$} {unit}");
}

/// Says something that is no figure.
#[expect(clippy::print_stderr, reason = "standard output is for figures")]
pub(crate) fn note(line: impl Display) {
    eprintln!("# {line}");
}

/// Prints the median of several runs with the lowest and the highest.
pub(crate) fn spread(name: &str, runs: &mut [f64], unit: &str) {
    figure(name, median(runs), unit);
    if let [lowest, .., highest] = runs {
        figure(&format!("{name}_min"), *lowest, unit);
        figure(&format!("{name}_max"), *highest, unit);
    }
}

/// The middle value; sorts them.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_the_sorted_values() {
        assert_eq!(median(&mut [9.0, 1.0, 5.0]).to_bits(), 5.0_f64.to_bits());
        assert!(median(&mut []).is_nan());
    }
}
