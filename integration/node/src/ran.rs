//! What a command printed and how it ended.

use std::fmt;
use std::process::Output;

use serde_json::Value;

/// A command that has ended.
#[derive(Clone, Debug)]
pub struct Ran {
    line: String,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Everything on its standard output.
    pub stdout: String,
    /// Everything on its standard error.
    pub stderr: String,
}

impl Ran {
    /// What `line` came to.
    #[must_use]
    pub fn new(line: String, output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Self { line, code: output.status.code(), stdout, stderr }
    }

    /// Its output, without the last line end.
    ///
    /// # Panics
    ///
    /// When the command failed.
    #[track_caller]
    #[must_use]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self}");
        self.stdout.trim_end()
    }

    /// What it said on standard error.
    ///
    /// # Panics
    ///
    /// When it succeeded, or failed in another way than by refusing.
    #[track_caller]
    #[must_use]
    pub fn refusal(&self) -> &str {
        assert_eq!(self.code, Some(1), "{self}");
        self.stderr.trim_end()
    }

    /// The lines of its output, without the header when it is a table.
    ///
    /// # Panics
    ///
    /// When the command failed.
    #[track_caller]
    #[must_use]
    pub fn rows(&self) -> Vec<&str> {
        self.ok().lines().skip(1).collect()
    }

    /// The JSON objects it printed, one a line.
    ///
    /// # Panics
    ///
    /// When the command failed, or printed something else.
    #[track_caller]
    #[must_use]
    pub fn objects(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {self}"));
        self.ok().lines().map(parse).collect()
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {} (exit {:?})", self.line, self.code)?;
        write!(f, "{}{}", self.stdout, self.stderr)
    }
}
