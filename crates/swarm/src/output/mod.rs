//! The only place that prints. Results go to stdout, everything else to stderr.
//!
//! [`format`] says in which shape, [`list`] renders rows in it, [`columns`] aligns them.

mod columns;
mod format;
mod list;
mod stdout;

use std::fmt::Display;
use std::io::{self, Write};

use serde_json::Value;
use swarm_template::{Functions, Template};

pub(crate) use format::{Defaults, Format, config_path};
pub(crate) use list::{List, ListKind, Row};

/// Exit code of an `inspect` whose template cannot be read.
const BAD_TEMPLATE: u8 = 64;
/// Exit code when nobody reads stdout any more: that of a program which SIGPIPE ended.
const UNREAD: u8 = 141;

/// Prints results in the shape that was asked for.
pub(crate) struct Printer {
    format: Option<Format>,
    defaults: Defaults,
    quiet: bool,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
}

/// An end with a code of its own; `why` may be empty when all was said.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) code: u8,
    pub(crate) why: String,
}

impl Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Exit {}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Printer").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Printer {
    /// Prints to stdout and stderr; `format` is what was typed.
    pub(crate) fn new(format: Option<Format>, quiet: bool) -> Self {
        let (out, err) = (Box::new(stdout::Stdout(io::stdout())), Box::new(io::stderr()));
        Self { format, defaults: Defaults::read(), quiet, out, err }
    }

    /// Prints into buffers instead.
    #[cfg(test)]
    pub(crate) fn into(
        format: Option<Format>,
        quiet: bool,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Self {
        Self { format, defaults: Defaults::default(), quiet, out, err }
    }

    /// A line of the result.
    pub(crate) fn line(&mut self, line: impl Display) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    /// A part of the result, at once and as it is.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }

    /// A part of a remote command's error output, as it is.
    pub(crate) fn error_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.err.write_all(bytes)?;
        self.err.flush()
    }

    /// Something the user must know beside the result, also with `--quiet`.
    pub(crate) fn warn(&mut self, line: impl Display) {
        // A closed stderr must not fail a command that succeeded.
        let _ = writeln!(self.err, "{line}");
    }

    /// A question, without a line's end; the answer is typed behind it.
    pub(crate) fn prompt(&mut self, question: impl Display) {
        let _ = write!(self.err, "{question}").and_then(|()| self.err.flush());
    }

    /// How it goes, and hints.
    pub(crate) fn note(&mut self, line: impl Display) {
        if !self.quiet {
            let _ = writeln!(self.err, "{line}");
        }
    }

    /// Says what went wrong, with every cause, and gives the exit code.
    pub(crate) fn end(&mut self, error: &anyhow::Error) -> u8 {
        if stdout::is_unread(error) {
            return UNREAD;
        }
        let text = format!("{error:#}");
        if !text.is_empty() {
            let _ = writeln!(self.err, "{text}");
        }
        error.downcast_ref::<Exit>().map_or(1, |exit| exit.code)
    }

    /// Rows as a table, their ids, JSON, or through a template.
    pub(crate) fn list(&mut self, list: &List) -> anyhow::Result<()> {
        let text = list.render(&self.format_of(list.kind()), self.quiet)?;
        Ok(self.out.write_all(text.as_bytes())?)
    }

    fn format_of(&self, kind: &ListKind) -> Format {
        let default = || self.defaults.get(kind.config_key).filter(|_| !self.quiet);
        self.format.clone().or_else(default).unwrap_or(Format::Table(None))
    }

    /// Objects as Docker's `inspect` shows them: an array, or each through a template.
    ///
    /// `short` is what stood behind `-f`, which wins over `--format`.
    pub(crate) fn inspect(&mut self, found: &[Value], short: Option<&str>) -> anyhow::Result<()> {
        let format = short.map(Format::parse).or_else(|| self.format.clone());
        let array = || Value::Array(found.iter().map(swarm_template::shown).collect());
        match format.unwrap_or(Format::Table(None)) {
            Format::Table(_) | Format::Raw => self.indented(&array()),
            Format::Json => Ok(self.line(array())?),
            Format::Template(text) => {
                let bad = |why: &dyn Display, code| Exit { code, why: bad_template(why) };
                let template = Template::parse(&text).map_err(|error| bad(&error, BAD_TEMPLATE))?;
                let functions = Functions::formats().lenient();
                for object in found {
                    let line = template.render(object, &functions);
                    self.line(line.map_err(|error| bad(&error, 1))?)?;
                }
                Ok(())
            }
        }
    }

    /// One object by `--format json` or a template; false when neither was asked for.
    pub(crate) fn object(&mut self, object: &Value) -> anyhow::Result<bool> {
        match &self.format {
            Some(Format::Json) => self.line(swarm_template::shown(object))?,
            Some(Format::Template(_)) => self.inspect(std::slice::from_ref(object), None)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Indented by four blanks as Docker does.
    fn indented(&mut self, value: &Value) -> anyhow::Result<()> {
        let mut text = Vec::new();
        let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, indent);
        serde::Serialize::serialize(value, &mut serializer)?;
        Ok(self.line(String::from_utf8_lossy(&text))?)
    }

    /// True when only ids are wanted.
    pub(crate) const fn quiet(&self) -> bool {
        self.quiet
    }

    /// The template for rows that come one at a time; `None` when none was asked for.
    pub(crate) fn row_template(&self) -> anyhow::Result<Option<Template>> {
        Ok(match &self.format {
            Some(Format::Json) => Some(list::parse("{{json .}}")?),
            Some(Format::Template(text)) => Some(list::parse(text)?),
            _ => None,
        })
    }
}

/// Docker's words before what is wrong with a template, which it takes from the same engine.
fn bad_template(why: &dyn Display) -> String {
    format!("template parsing error: {why}")
}

#[cfg(test)]
pub(crate) mod tests;
