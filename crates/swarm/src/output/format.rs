//! The shape of the output, as typed or as set in the user's `config.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

/// Shape of the output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// Columns for people: the command's own, or a template's with tabs between them.
    Table(Option<String>),
    /// One JSON object per row.
    Json,
    /// The command's block of `key: value` lines.
    Raw,
    /// A template for each row.
    Template(String),
}

impl Format {
    /// Reads what stands behind `--format`; any other text is a template.
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        match text.as_str() {
            "" | "table" => Self::Table(None),
            "json" => Self::Json,
            "raw" => Self::Raw,
            _ => match text.strip_prefix("table") {
                Some(template) if template.starts_with([' ', '\t']) => {
                    Self::Table(Some(template.trim_start().to_owned()))
                }
                _ => Self::Template(text),
            },
        }
    }
}

/// Formats of `config.json`, for commands that were given none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults(BTreeMap<String, String>);

impl Defaults {
    /// What the user set; a file that is missing or cannot be read sets nothing.
    pub(crate) fn read() -> Self {
        let text = config_path().and_then(|path| std::fs::read_to_string(path).ok());
        text.map(|text| Self::parse(&text)).unwrap_or_default()
    }

    pub(crate) fn parse(text: &str) -> Self {
        let Ok(Value::Object(keys)) = serde_json::from_str(text) else { return Self::default() };
        let formats = keys.into_iter().filter_map(|(key, value)| match value {
            Value::String(format) if key.ends_with("Format") => Some((key, format)),
            _ => None,
        });
        Self(formats.collect())
    }

    pub(crate) fn get(&self, key: &str) -> Option<Format> {
        self.0.get(key).filter(|format| !format.is_empty()).map(|format| Format::parse(format))
    }
}

/// Where Docker's command line keeps its settings.
pub(crate) fn config_path() -> Option<PathBuf> {
    let set = |key| std::env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))?;
    Some(directory.join("config.json"))
}
