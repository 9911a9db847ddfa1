//! What a template can call.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::{MAX_OUTPUT, RenderError, printf, show};

/// A function of the arguments.
type Function<'a> = Box<dyn Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'a>;
/// A function of what it is called on, and the arguments.
type Method<'a> = Box<dyn Fn(&Value, &[Value]) -> Option<Result<Value, String>> + Send + Sync + 'a>;

/// The functions a template can call, beside Go's own, and what a missing field means.
pub struct Functions<'a> {
    functions: BTreeMap<&'static str, Function<'a>>,
    methods: BTreeMap<&'static str, Method<'a>>,
    pub(crate) missing: Missing,
    /// What the values of one rendering may weigh together.
    pub(crate) work: usize,
}

/// What a field that an object does not have means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Missing {
    Error,
    Empty,
}

impl fmt::Debug for Functions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions").field("functions", &self.functions.keys()).finish()
    }
}

impl<'a> Functions<'a> {
    /// For placeholders in a spec: Go's functions and `join SEPARATOR TEXT...`; a missing field
    /// is an error.
    #[must_use]
    pub fn placeholders() -> Self {
        let (functions, methods) = (BTreeMap::new(), BTreeMap::new());
        let none = Self { functions, methods, missing: Missing::Error, work: MAX_OUTPUT };
        none.with("join", |args| {
            let (separator, words) = args.split_first().ok_or("wants a separator")?;
            joined(&texts(words)?, text(separator)?)
        })
    }

    /// For `--format`: Go's functions, `json`, `join LIST SEPARATOR`, `split`, `lower`, `upper`,
    /// `title`, `pad`, `truncate`; a missing field is an error.
    #[must_use]
    pub fn formats() -> Self {
        // Whoever wrote them waits for them, and nobody else.
        Self { work: 16 * MAX_OUTPUT, ..Self::placeholders() }
            .with("json", |args| Ok(show::shown(one(args)?).to_string().into()))
            .with("join", |args| match args {
                [Value::Array(words), separator] => joined(&texts(words)?, text(separator)?),
                [Value::Null, _] => Ok("".into()),
                _ => Err("wants a list and a separator".to_owned()),
            })
            .with("split", |args| match args {
                [words, separator] => Ok(text(words)?.split(text(separator)?).collect()),
                _ => Err("wants a text and a separator".to_owned()),
            })
            .with("lower", |args| Ok(text(one(args)?)?.to_lowercase().into()))
            .with("upper", |args| Ok(text(one(args)?)?.to_uppercase().into()))
            .with("title", |args| Ok(title(text(one(args)?)?).into()))
            .with("pad", |args| match args {
                [word, before, after]
                    if text(word)?.is_empty() && whole(before)? + whole(after)? > 0 =>
                {
                    Ok("".into())
                }
                [word, before, after] => {
                    let (before, after) = (whole(before)?, whole(after)?);
                    Ok(format!("{:before$}{}{:after$}", "", text(word)?, "").into())
                }
                _ => Err("wants a text and two numbers".to_owned()),
            })
            .with("truncate", |args| match args {
                [word, length] => {
                    Ok(text(word)?.chars().take(whole(length)?).collect::<String>().into())
                }
                _ => Err("wants a text and a length".to_owned()),
            })
    }

    /// Takes a field that a map does not have for empty, as Go does. Structures, which name all
    /// their fields under [`UNSET`](crate::UNSET), go on to have no others.
    #[must_use]
    pub fn lenient(mut self) -> Self {
        self.missing = Missing::Empty;
        self
    }

    /// Adds a function, or replaces the one of that name.
    #[must_use]
    pub fn with(
        mut self,
        name: &'static str,
        function: impl Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'a,
    ) -> Self {
        self.functions.insert(name, Box::new(function));
        self
    }

    /// Adds a method, as in `{{.Label "key"}}`; `None` from it means that the value it is
    /// called on has none of that name.
    #[must_use]
    pub fn with_method(
        mut self,
        name: &'static str,
        method: impl Fn(&Value, &[Value]) -> Option<Result<Value, String>> + Send + Sync + 'a,
    ) -> Self {
        self.methods.insert(name, Box::new(method));
        self
    }

    pub(crate) fn call(&self, name: &str, args: &[Value]) -> Result<Value, RenderError> {
        let called = match self.functions.get(name) {
            Some(function) => function(args),
            None => builtin(name, args),
        };
        called.map_err(|why| RenderError::Call { function: name.to_owned(), why })
    }

    pub(crate) fn method(
        &self,
        name: &str,
        receiver: &Value,
        args: &[Value],
    ) -> Option<Result<Value, RenderError>> {
        let called = self.methods.get(name)?(receiver, args)?;
        Some(called.map_err(|why| RenderError::Call { function: name.to_owned(), why }))
    }
}

/// Go's own functions, without `and` and `or`, which must not see all their arguments.
fn builtin(name: &str, args: &[Value]) -> Result<Value, String> {
    match name {
        "not" => Ok((!show::truth(one(args)?)).into()),
        "len" => len(one(args)?).map(Value::from),
        "index" => {
            let (value, keys) = args.split_first().ok_or("wants a value")?;
            keys.iter().try_fold(value.clone(), |value, key| index(&value, key))
        }
        "slice" => slice(args),
        "print" => Ok(printf::print(args).into()),
        "println" => Ok(printf::println(args).into()),
        "printf" => {
            let (format, args) = args.split_first().ok_or("wants a format")?;
            printf::printf(text(format)?, args).map(Value::from).ok_or_else(too_long)
        }
        "eq" => {
            let (first, others) = args.split_first().ok_or("wants two values")?;
            if others.is_empty() {
                return Err("missing argument for comparison".to_owned());
            }
            others.iter().try_fold(false, |same, it| Ok(same || equal(first, it)?)).map(Value::from)
        }
        "ne" | "lt" | "le" | "gt" | "ge" => {
            let [a, b] = args else { return Err("wants two values".to_owned()) };
            compare(name, a, b).map(Value::from)
        }
        _ => Err(format!("function {name:?} not defined")),
    }
}

fn compare(name: &str, a: &Value, b: &Value) -> Result<bool, String> {
    if name == "ne" {
        return Ok(!equal(a, b)?);
    }
    let order = match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Number(_), Value::Number(_)) => numbers(a, b),
        _ => return Err(INCOMPATIBLE.to_owned()),
    };
    Ok(match name {
        "lt" => order == Ordering::Less,
        "le" => order != Ordering::Greater,
        "gt" => order == Ordering::Greater,
        _ => order != Ordering::Less,
    })
}

const INCOMPATIBLE: &str = "incompatible types for comparison";

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => Ok(a == b),
        (Value::Number(_), Value::Number(_)) => Ok(numbers(a, b) == Ordering::Equal),
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => Ok(a == b),
        _ => Err(INCOMPATIBLE.to_owned()),
    }
}

fn numbers(a: &Value, b: &Value) -> Ordering {
    match (a.as_i64(), b.as_i64(), a.as_f64(), b.as_f64()) {
        (Some(a), Some(b), ..) => a.cmp(&b),
        (.., Some(a), Some(b)) => a.total_cmp(&b),
        _ => Ordering::Equal,
    }
}

fn len(value: &Value) -> Result<usize, String> {
    match value {
        Value::String(text) => Ok(text.len()),
        Value::Array(items) => Ok(items.len()),
        Value::Object(fields) => Ok(show::sorted(fields).len()),
        other => Err(format!("{} has no length", show::kind(other))),
    }
}

/// A key that a map does not have gives the empty text, as with Go's maps of texts.
fn index(value: &Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::Object(fields), Value::String(key)) => {
            let found = fields.get(key).filter(|_| key != crate::UNSET);
            Ok(found.cloned().unwrap_or_else(|| "".into()))
        }
        (Value::Array(items), Value::Number(_)) => {
            let found = items.get(whole(key)?).cloned();
            found.ok_or_else(|| format!("index out of range: {key}"))
        }
        (Value::String(text), Value::Number(_)) => {
            let byte = text.as_bytes().get(whole(key)?).copied();
            byte.map(Value::from).ok_or_else(|| format!("index out of range: {key}"))
        }
        (Value::Null, _) => Err("index of nothing (nil)".to_owned()),
        _ => Err(format!("{} has no index {key}", show::kind(value))),
    }
}

fn slice(args: &[Value]) -> Result<Value, String> {
    let (value, bounds) = args.split_first().ok_or("wants a value")?;
    let from = bounds.first().map_or(Ok(0), whole)?;
    let to = bounds.get(1).map_or_else(|| len(value), whole)?;
    let out_of_range = || format!("slice out of range: {from} to {to}");
    match value {
        Value::String(text) => text.get(from..to).map(Value::from).ok_or_else(out_of_range),
        Value::Array(items) => {
            items.get(from..to).map(|part| part.to_vec().into()).ok_or_else(out_of_range)
        }
        other => Err(format!("can't slice {}", show::kind(other))),
    }
}

/// A separator may be long and words may be many, so the result is measured before it is made.
fn joined(words: &[&str], separator: &str) -> Result<Value, String> {
    let separators = separator.len().saturating_mul(words.len().saturating_sub(1));
    let length = words.iter().map(|word| word.len()).fold(separators, usize::saturating_add);
    if length > MAX_OUTPUT { Err(too_long()) } else { Ok(words.join(separator).into()) }
}

fn too_long() -> String {
    format!("the result is longer than {MAX_OUTPUT} bytes")
}

/// First letter of each word in upper case.
fn title(text: &str) -> String {
    let mut inside = false;
    let raised = text.chars().map(|letter| {
        let start = !inside && letter.is_alphabetic();
        inside = letter.is_alphanumeric() || matches!(letter, '_' | '\'');
        if start { letter.to_uppercase().next().unwrap_or(letter) } else { letter }
    });
    raised.collect()
}

fn one(args: &[Value]) -> Result<&Value, String> {
    match args {
        [only] => Ok(only),
        _ => Err(format!("wants one value, got {}", args.len())),
    }
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("wants a text, got {}", show::kind(value)))
}

fn texts(values: &[Value]) -> Result<Vec<&str>, String> {
    values.iter().map(text).collect()
}

/// A number that is not negative, and small enough for a width.
fn whole(value: &Value) -> Result<usize, String> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    let bounded = number.filter(|number| *number <= MAX_OUTPUT);
    bounded.ok_or_else(|| format!("wants a small whole number, got {value}"))
}
