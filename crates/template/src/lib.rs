//! The part of Go's `text/template` that users write: `--format` of the command line and the
//! placeholders in a service's spec.
//!
//! [`lex`] cuts a text into words, [`parse`] makes a tree of them, [`eval`] walks the tree over
//! a JSON value; [`functions`] holds what can be called. Nothing here does I/O; depth, work and
//! output are bounded, and no text makes it panic: placeholders come from users and run on
//! managers.
//!
//! Named templates (`define`, `template`, `block`) are refused. Which functions there are and
//! what a missing field means is the caller's choice, by [`Functions`].

mod eval;
mod functions;
mod lex;
mod parse;
mod placeholders;
mod printf;
mod show;

use serde_json::Value;

pub use functions::Functions;
pub use placeholders::Placeholders;
pub use show::shown;

/// Key under which an object carries the fields it has beside those it shows: an object of
/// their zero values. It makes the object a structure: its fields are these and those it shows,
/// and any other is an error. An object without it is a map. No function and no text shows it.
pub const UNSET: &str = "\0unset";

/// Longest text a template may make, in bytes.
pub const MAX_OUTPUT: usize = 1 << 20;

/// A template that was read and can be rendered any number of times.
#[derive(Clone, Debug)]
pub struct Template {
    nodes: Vec<parse::Node>,
}

/// Why a text is not a template.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("template: line {line}: {why}")]
pub struct ParseError {
    /// Where, counted from 1.
    pub line: usize,
    /// What is wrong, for people.
    pub why: String,
}

/// Why a template could not be rendered over a value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RenderError {
    /// The value has no such field; the template expects another shape.
    #[error("template: can't evaluate field {field} in {of}{}", there_are(known))]
    NoField {
        /// The field.
        field: String,
        /// What was asked for it, such as `a string`.
        of: &'static str,
        /// The fields it has; empty for what is no object.
        known: Vec<String>,
    },
    /// A function refused its arguments.
    #[error("template: error calling {function}: {why}")]
    Call {
        /// The function.
        function: String,
        /// What it said, for people.
        why: String,
    },
    /// The value cannot be used like that: ranged over, or given arguments.
    #[error("template: {0}")]
    Misuse(String),
    /// More than [`MAX_OUTPUT`].
    #[error("template: the result is longer than {MAX_OUTPUT} bytes")]
    TooLong,
    /// More work than any template needs.
    #[error("template: it loops too often, or over too much")]
    TooMuch,
}

fn there_are(fields: &[String]) -> String {
    if fields.is_empty() { String::new() } else { format!(": there are {}", fields.join(", ")) }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// [`ParseError`] with the line, for a text that Go's engine would refuse, or that uses
    /// named templates.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self { nodes: parse::parse(text)? })
    }

    /// Writes the template's text with `data` as its dot.
    ///
    /// # Errors
    ///
    /// [`RenderError`] when the value does not have the shape the template expects.
    pub fn render(&self, data: &Value, functions: &Functions<'_>) -> Result<String, RenderError> {
        eval::render(&self.nodes, data, functions)
    }

    /// The field chains used as a value of their own, in order: `{{.Node.Name}}` gives
    /// `Node.Name`. What a table's header is made of.
    #[must_use]
    pub fn fields(&self) -> Vec<String> {
        parse::fields(&self.nodes)
    }
}

#[cfg(test)]
mod tests;
