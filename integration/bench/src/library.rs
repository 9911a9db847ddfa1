//! Figures of single crates, taken by the examples beside them.
//!
//! An example prints its own figures, `name value unit`; those of several runs are joined here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use crate::figure::{note, spread};
use crate::{Effort, Outcome};

pub(crate) fn state(effort: Effort) -> Outcome {
    match effort {
        Effort::Full => repeat("state-bench", &[], 3),
        Effort::Smoke => repeat("state-bench", &["--smoke"], 1),
    }
}

pub(crate) fn planner(effort: Effort) -> Outcome {
    repeat("planner-bench", &[], if effort == Effort::Full { 5 } else { 1 })
}

pub(crate) fn sim(effort: Effort) -> Outcome {
    repeat("sim-bench", &[], if effort == Effort::Full { 3 } else { 1 })
}

pub(crate) fn raft(effort: Effort) -> Outcome {
    match effort {
        Effort::Full => repeat("raft-bench", &["1000000"], 3),
        Effort::Smoke => repeat("raft-bench", &["100000"], 1),
    }
}

fn repeat(example: &str, arguments: &[&str], runs: usize) -> Outcome {
    let mut figures: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    let mut order = Vec::new();
    for _ in 0..runs {
        for (name, value, unit) in run(example, arguments)? {
            let key = (name, unit);
            if !order.contains(&key) {
                order.push(key.clone());
            }
            figures.entry(key).or_default().push(value);
        }
    }
    note(format_args!("{example} {}: n = {runs}", arguments.join(" ")));
    for key in order {
        spread(&key.0, &mut figures.remove(&key).unwrap_or_default(), &key.1);
    }
    Ok(())
}

type Figures = Vec<(String, f64, String)>;

/// Runs an example, built beside this program, in a directory that is removed after it.
fn run(example: &str, arguments: &[&str]) -> Result<Figures, Box<dyn std::error::Error>> {
    let this: PathBuf = std::env::current_exe()?;
    let program = this.with_file_name("examples").join(example);
    let scratch = tempfile::Builder::new().prefix("sb").tempdir_in("/var/tmp")?;
    let output = Command::new(&program).args(arguments).current_dir(&scratch).output();
    let output = output.map_err(|why| format!("run {}: {why}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} failed: {said}", program.display()).into());
    }
    let lines = String::from_utf8(output.stdout)?;
    lines.lines().map(|line| parse(line).ok_or(format!("no figure: {line}").into())).collect()
}

fn parse(line: &str) -> Option<(String, f64, String)> {
    let mut words = line.split(' ');
    let (name, value, unit) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    words.next().is_none().then(|| (name.to_owned(), value, unit.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_a_name_a_number_and_a_unit() {
        assert_eq!(parse("a_b 1.5 us"), Some(("a_b".to_owned(), 1.5, "us".to_owned())));
        for line in ["", "a", "a 1", "a b us", "a 1 us more"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
