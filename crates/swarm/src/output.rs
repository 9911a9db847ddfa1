//! The only place that prints. Results go to stdout, everything else to stderr.

use std::fmt::Display;
use std::io::{self, Write};

use serde_json::{Map, Value};

use crate::options::Format;

/// Least width of a column.
const MIN_WIDTH: usize = 10;
/// Blanks between columns.
const PADDING: usize = 3;

/// Prints results in the shape that was asked for.
#[derive(Debug)]
pub(crate) struct Printer {
    format: Format,
    quiet: bool,
}

/// Rows of equal columns; the first column is what `--quiet` prints.
#[derive(Debug)]
pub(crate) struct Table {
    /// Header and, for `--format json`, key of each column.
    columns: &'static [(&'static str, &'static str)],
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    id: String,
    cells: Vec<String>,
}

impl Table {
    /// A table whose columns have these headers and JSON keys.
    pub(crate) const fn new(columns: &'static [(&'static str, &'static str)]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; `id` is what `--quiet` prints for it.
    pub(crate) fn row(&mut self, id: impl Display, cells: impl IntoIterator<Item = String>) {
        self.rows.push(Row { id: id.to_string(), cells: cells.into_iter().collect() });
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let header = self.columns.iter().map(|(header, _)| (*header).to_owned()).collect();
        let rows = std::iter::once(header).chain(self.rows.iter().map(|row| row.cells.clone()));
        let rows: Vec<Vec<String>> = rows.collect();
        let width = |column: usize| {
            let widest =
                rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            (widest.max().unwrap_or(0) + PADDING).max(MIN_WIDTH)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        rows.into_iter().map(move |row| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<String>().trim_end().to_owned()
        })
    }

    fn objects(&self) -> impl Iterator<Item = Value> {
        self.rows.iter().map(|row| {
            let keys = self.columns.iter().map(|(_, key)| (*key).to_owned());
            let cells = row.cells.iter().cloned().map(Value::String);
            Value::Object(keys.zip(cells).collect::<Map<_, _>>())
        })
    }
}

impl Printer {
    pub(crate) const fn new(format: Format, quiet: bool) -> Self {
        Self { format, quiet }
    }

    /// A line of the result.
    pub(crate) fn line(&mut self, line: impl Display) -> io::Result<()> {
        writeln!(io::stdout(), "{line}")
    }

    /// Something the user must know beside the result, also with `--quiet`.
    pub(crate) fn warn(&mut self, line: impl Display) {
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// How it goes, and hints.
    pub(crate) fn note(&mut self, line: impl Display) {
        if !self.quiet {
            // A closed stderr must not fail a command that succeeded.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    /// What went wrong, with every cause.
    pub(crate) fn error(&mut self, error: &anyhow::Error) {
        let _ = writeln!(io::stderr(), "{error:#}");
    }

    /// A table, or its ids, or one JSON object per row.
    pub(crate) fn table(&mut self, table: &Table) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match (self.quiet, self.format) {
            (true, _) => table.rows.iter().try_for_each(|row| writeln!(out, "{}", row.id)),
            (_, Format::Json) => table.objects().try_for_each(|row| writeln!(out, "{row}")),
            (_, Format::Table) => table.lines().try_for_each(|line| writeln!(out, "{line}")),
        }
    }

    /// A JSON value, indented by four blanks as Docker does.
    pub(crate) fn json(&mut self, value: &Value) -> anyhow::Result<()> {
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

    /// True when JSON is wanted.
    pub(crate) fn wants_json(&self) -> bool {
        self.format == Format::Json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&[("ID", "ID"), ("NAME", "Name"), ("X", "X")]);
        table.row("1", ["1".into(), "a-long-name".into(), "y".into()]);

        let lines: Vec<String> = table.lines().collect();

        assert_eq!(lines, ["ID        NAME          X", "1         a-long-name   y"]);
    }

    #[test]
    fn a_row_is_an_object_with_the_columns_keys() {
        let mut table = Table::new(&[("ID", "ID"), ("CURRENT STATE", "CurrentState")]);
        table.row("1", ["1".into(), "Running".into()]);

        let rows: Vec<Value> = table.objects().collect();

        assert_eq!(rows, [serde_json::json!({"ID": "1", "CurrentState": "Running"})]);
    }
}
