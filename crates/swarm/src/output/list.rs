//! Rows and the ways to show them.
//!
//! Every shape is a template over a row's fields, as with Docker: the table is one whose header
//! is the same template over the names of the columns.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use swarm_template::{Functions, Template};

use super::columns::align;
use super::format::Format;

/// What the rows of one command have in common.
#[derive(Debug)]
pub(crate) struct ListKind {
    /// The table's line, cells separated by tabs.
    pub(crate) table: &'static str,
    /// Field and header of every column there can be.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// Key and template of each line of the raw block.
    pub(crate) raw: &'static [(&'static str, &'static str)],
    /// What `--quiet` prints.
    pub(crate) quiet: &'static str,
    /// Key in `config.json`.
    pub(crate) config_key: &'static str,
}

/// Rows of one kind.
#[derive(Debug)]
pub(crate) struct List {
    kind: &'static ListKind,
    rows: Vec<Row>,
}

/// One row: its fields, and the labels that `{{.Label "key"}}` shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    fields: Map<String, Value>,
    /// Fields that look different in tables.
    in_tables: Map<String, Value>,
    labels: BTreeMap<String, String>,
}

impl Row {
    /// A row with these fields.
    pub(crate) fn new(fields: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value.into()));
        Self { fields: fields.collect(), ..Self::default() }
    }

    /// Sets a field that is no text.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(key.to_owned(), value.into());
        self
    }

    /// Shows a field differently in tables.
    pub(crate) fn in_tables(mut self, key: &str, value: String) -> Self {
        self.in_tables.insert(key.to_owned(), value.into());
        self
    }

    /// Sets the labels, also as the field `Labels`.
    pub(crate) fn labels(mut self, labels: &BTreeMap<String, String>) -> Self {
        let text: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        self.labels.clone_from(labels);
        self.with("Labels", text.join(","))
    }

    /// The row through a template.
    pub(crate) fn render(&self, template: &Template) -> anyhow::Result<String> {
        self.rendered(self.fields.clone(), template)
    }

    fn render_in_table(&self, template: &Template) -> anyhow::Result<String> {
        let mut fields = self.fields.clone();
        fields.extend(self.in_tables.clone());
        self.rendered(fields, template)
    }

    fn rendered(&self, fields: Map<String, Value>, template: &Template) -> anyhow::Result<String> {
        let text = template.render(&Value::Object(fields), &self.functions());
        text.map_err(|error| anyhow::anyhow!(super::bad_template(&error)))
    }

    fn functions(&self) -> Functions<'_> {
        Functions::formats().with_method("Label", |of, args| {
            let key = args.first()?.as_str()?;
            let found = self.labels.get(key).cloned().unwrap_or_default();
            of.is_object().then(|| Ok(found.into()))
        })
    }
}

impl List {
    pub(crate) fn new(kind: &'static ListKind, rows: Vec<Row>) -> Self {
        Self { kind, rows }
    }

    pub(crate) const fn kind(&self) -> &'static ListKind {
        self.kind
    }

    /// The whole output, each line ended.
    pub(crate) fn render(&self, format: &Format, quiet: bool) -> anyhow::Result<String> {
        match format {
            Format::Table(_) if quiet => self.each(self.kind.quiet),
            Format::Table(template) => self.table(template.as_deref().unwrap_or(self.kind.table)),
            Format::Json => self.each("{{json .}}"),
            Format::Raw if quiet => self.each(&format!("id: {}", self.kind.quiet)),
            Format::Raw => {
                let lines = self.kind.raw.iter().map(|(key, field)| format!("{key}: {field}\n"));
                self.each(&lines.collect::<String>())
            }
            Format::Template(template) => self.each(template),
        }
    }

    fn each(&self, template: &str) -> anyhow::Result<String> {
        let template = parse(template)?;
        let lines = self.rows.iter().map(|row| Ok(row.render(&template)? + "\n"));
        lines.collect()
    }

    fn table(&self, template: &str) -> anyhow::Result<String> {
        let template = parse(template)?;
        let header = header(self.kind, &template)?;
        let rows = self.rows.iter().map(|row| row.render_in_table(&template));
        let lines: Result<Vec<String>, _> = std::iter::once(Ok(header)).chain(rows).collect();
        Ok(align(&lines?))
    }
}

/// A template for rows.
pub(super) fn parse(text: &str) -> anyhow::Result<Template> {
    Template::parse(text).map_err(|error| anyhow::anyhow!(super::bad_template(&error)))
}

/// The template over the columns' names; functions leave these as they are.
fn header(kind: &ListKind, template: &Template) -> anyhow::Result<String> {
    let names: Map<String, Value> = kind
        .headers
        .iter()
        .map(|(field, header)| ((*field).to_owned(), (*header).into()))
        .collect();
    let mut functions = Functions::formats().lenient();
    for name in ["json", "lower", "upper", "title", "join", "split", "truncate"] {
        functions = functions.with(name, |args| Ok(args.first().cloned().unwrap_or_default()));
    }
    let functions = functions.with_method("Label", |_, args| {
        let key = args.first()?.as_str()?;
        let last = key.rsplit('.').next().unwrap_or(key);
        Some(Ok(last.replace(['-', '_'], " ").into()))
    });
    Ok(template.render(&Value::Object(names), &functions)?)
}
