//! `print`, `println` and `printf` as Go's `fmt` does them, for the values JSON has.

use serde_json::Value;

use crate::{MAX_OUTPUT, show};

/// Widest padding a format can ask for.
const MAX_WIDTH: usize = 1024;

/// A blank stands between two values of which neither is a text.
pub(crate) fn print(args: &[Value]) -> String {
    let mut text = String::new();
    for (at, arg) in args.iter().enumerate() {
        let apart = at > 0 && !arg.is_string() && !args[at - 1].is_string();
        text.push_str(if apart { " " } else { "" });
        text.push_str(&show::nested(arg));
    }
    text
}

pub(crate) fn println(args: &[Value]) -> String {
    let words: Vec<String> = args.iter().map(show::nested).collect();
    words.join(" ") + "\n"
}

/// What stands between `%` and the verb.
#[derive(Default)]
struct Spec {
    left: bool,
    zeros: bool,
    plus: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

/// `None` when the text would be longer than [`MAX_OUTPUT`]: widths add up.
pub(crate) fn printf(format: &str, args: &[Value]) -> Option<String> {
    let (mut text, mut rest, mut args) = (String::new(), format, args.iter());
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let (spec, after) = spec(after);
        let mut letters = after.chars();
        match letters.next() {
            None => text.push_str("%!(NOVERB)"),
            Some('%') => text.push('%'),
            Some(verb) => match args.next() {
                Some(arg) => text.push_str(&formatted(verb, &spec, arg)),
                None => text.push_str(&format!("%!{verb}(MISSING)")),
            },
        }
        rest = letters.as_str();
        if text.len() > MAX_OUTPUT {
            return None;
        }
    }
    text.push_str(rest);
    let extra: Vec<String> =
        args.map(|arg| format!("{}={}", type_of(arg), show::nested(arg))).collect();
    if !extra.is_empty() {
        text.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Some(text)
}

fn spec(mut text: &str) -> (Spec, &str) {
    let mut spec = Spec::default();
    loop {
        match text.chars().next() {
            Some('-') => spec.left = true,
            Some('0') => spec.zeros = true,
            Some('+') => spec.plus = true,
            Some('#') => spec.alternate = true,
            Some(' ') => {}
            _ => break,
        }
        text = &text[1..];
    }
    (spec.width, text) = digits(text);
    if let Some(after) = text.strip_prefix('.') {
        let (precision, after) = digits(after);
        (spec.precision, text) = (Some(precision), after);
    }
    (spec, text)
}

fn digits(text: &str) -> (usize, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().unwrap_or(0).min(MAX_WIDTH), &text[end..])
}

fn formatted(verb: char, spec: &Spec, arg: &Value) -> String {
    let cut = |text: &str| match spec.precision {
        Some(most) => text.chars().take(most).collect(),
        None => text.to_owned(),
    };
    let body = match (verb, arg) {
        ('v', Value::String(text)) => cut(text),
        ('v', _) => show::nested(arg),
        ('s', Value::String(text)) => cut(text),
        ('s', Value::Array(_) | Value::Object(_)) => show::nested(arg),
        ('q', Value::String(text)) => Value::from(cut(text)).to_string(),
        ('t', Value::Bool(_)) => show::nested(arg),
        ('d', Value::Number(number)) if !number.is_f64() => signed(number.to_string(), spec),
        ('x' | 'X', Value::Number(number)) if !number.is_f64() => hex(verb, number.as_i64()),
        ('x' | 'X', Value::String(text)) => {
            text.bytes().map(|byte| hex_digits(verb, format_args!("{byte:02x}"))).collect()
        }
        ('c', Value::Number(number)) => {
            let code = number.as_u64().and_then(|code| u32::try_from(code).ok());
            code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER).to_string()
        }
        ('f', Value::Number(number)) if number.is_f64() => {
            let float = number.as_f64().unwrap_or_default();
            signed(format!("{float:.*}", spec.precision.unwrap_or(6)), spec)
        }
        ('g', Value::Number(number)) if number.is_f64() => show::nested(arg),
        _ => return format!("%!{verb}({}={})", type_of(arg), show::nested(arg)),
    };
    pad(&body, spec, arg)
}

fn signed(number: String, spec: &Spec) -> String {
    if spec.plus && !number.starts_with('-') { format!("+{number}") } else { number }
}

fn hex(verb: char, number: Option<i64>) -> String {
    let number = number.unwrap_or_default();
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", hex_digits(verb, format_args!("{:x}", number.unsigned_abs())))
}

fn hex_digits(verb: char, digits: std::fmt::Arguments<'_>) -> String {
    let digits = digits.to_string();
    if verb == 'X' { digits.to_uppercase() } else { digits }
}

fn pad(body: &str, spec: &Spec, arg: &Value) -> String {
    let missing = spec.width.saturating_sub(body.chars().count());
    if spec.left {
        return format!("{body}{:missing$}", "");
    }
    if spec.zeros && arg.is_number() {
        let digits = body.trim_start_matches(['-', '+']);
        return format!("{}{}{digits}", &body[..body.len() - digits.len()], "0".repeat(missing));
    }
    format!("{:missing$}{body}", "")
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "[]string",
        Value::Object(_) => "map[string]string",
    }
}
