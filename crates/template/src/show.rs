//! How Go prints, compares and weighs a value.

use std::fmt::Write;

use serde_json::{Map, Number, Value};

use crate::UNSET;

/// The value without the fields that it only has and does not show, at any depth.
#[must_use]
pub fn shown(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let shown = fields.iter().filter(|(key, _)| *key != UNSET);
            shown.map(|(key, value)| (key.clone(), self::shown(value))).collect()
        }
        Value::Array(items) => items.iter().map(shown).collect(),
        other => other.clone(),
    }
}

/// A field that an object shows, or only has.
pub(crate) fn field<'v>(of: &'v Value, name: &str) -> Option<&'v Value> {
    let fields = of.as_object()?;
    fields.get(name).or_else(|| fields.get(UNSET)?.get(name)).filter(|_| name != UNSET)
}

/// Names of all fields of an object, in order.
pub(crate) fn names(of: &Value) -> Vec<String> {
    let Value::Object(fields) = of else { return Vec::new() };
    let unset = fields.get(UNSET).and_then(Value::as_object);
    let mut names: Vec<&String> = sorted(fields);
    names.extend(unset.into_iter().flat_map(Map::keys));
    names.sort();
    names.into_iter().cloned().collect()
}

/// Whether an object has the fields it names and no other.
pub(crate) fn is_structure(value: &Value) -> bool {
    value.get(UNSET).is_some()
}

/// As `{{.}}` prints it.
pub(crate) fn top(value: &Value) -> String {
    if value.is_null() { "<no value>".to_owned() } else { nested(value) }
}

/// As `%v` prints it.
pub(crate) fn nested(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("<nil>"),
        Value::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Value::Number(value) => text.push_str(&number(value)),
        Value::String(value) => text.push_str(value),
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(' ');
                }
                write_value(text, item);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push_str("map[");
            for (at, key) in sorted(fields).into_iter().enumerate() {
                let _ = write!(text, "{}{key}:", if at > 0 { " " } else { "" });
                write_value(text, &fields[key]);
            }
            text.push(']');
        }
    }
}

/// Keys in the order Go visits a map.
pub(crate) fn sorted(fields: &Map<String, Value>) -> Vec<&String> {
    let mut keys: Vec<&String> = fields.keys().filter(|key| *key != UNSET).collect();
    keys.sort();
    keys
}

/// Whole numbers as they are, others as `%v` does: with an exponent below 1e-4 and from 1e21.
fn number(value: &Number) -> String {
    match value.as_f64() {
        Some(float) if value.is_f64() => {
            let size = float.abs();
            if size != 0.0 && !(1e-4..1e21).contains(&size) {
                let text = format!("{float:e}");
                let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
                let sign = if power.starts_with('-') { '-' } else { '+' };
                format!("{digits}e{sign}{:0>2}", power.trim_start_matches('-'))
            } else {
                format!("{float}")
            }
        }
        _ => value.to_string(),
    }
}

/// What a value weighs: its texts in bytes, and some for each part of it.
pub(crate) fn weight(value: &Value) -> usize {
    const PART: usize = 32;
    let parts = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => fields.iter().map(|(key, it)| key.len() + weight(it)).sum(),
    };
    PART + parts
}

/// What `if` takes for true.
pub(crate) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// With its article, for errors.
pub(crate) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing (nil)",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
