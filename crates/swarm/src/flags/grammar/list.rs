//! Lists: environments and capabilities.

use std::collections::BTreeSet;

/// `KEY` alone takes its value from this process, and stays as it is when there is none.
pub(crate) fn from_environment(variable: String) -> String {
    match std::env::var(&variable) {
        Ok(value) if !variable.contains('=') => format!("{variable}={value}"),
        _ => variable,
    }
}

/// The variables of a file: no quotes, no substitution; `KEY` alone is taken from this process
/// and left out when it is not set there.
pub(crate) fn env_file(text: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8".to_owned())?;
    let mut variables = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = number + 1;
        let (name, value) = line.split_once('=').map_or((line, None), |(a, b)| (a, Some(b)));
        if name.is_empty() {
            return Err(format!("line {at}: a variable needs a name"));
        }
        if name.contains(char::is_whitespace) {
            return Err(format!("line {at}: the name {name:?} contains blanks"));
        }
        match (value, std::env::var(name)) {
            (Some(_), _) => variables.push(line.to_owned()),
            (None, Ok(value)) => variables.push(format!("{name}={value}")),
            (None, Err(_)) => {}
        }
    }
    Ok(variables)
}

/// Upper case with the prefix `CAP_`; `ALL` and `RESET` stay words of their own.
pub(crate) fn caps<'a>(names: impl IntoIterator<Item = &'a String>) -> BTreeSet<String> {
    let names = names.into_iter().map(|name| {
        let name = name.trim().to_uppercase();
        match name.as_str() {
            "ALL" | "CAP_ALL" => "ALL".to_owned(),
            "RESET" => name,
            _ if name.starts_with("CAP_") => name,
            _ => format!("CAP_{name}"),
        }
    });
    names.collect()
}
