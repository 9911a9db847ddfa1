//! `--filter KEY=VALUE`: values of one key are alternatives, different keys must all hold.

use std::collections::BTreeMap;

/// The option of every list.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct FilterArgs {
    /// Show only what matches KEY=VALUE; may be repeated
    #[arg(long = "filter", short = 'f', value_name = "KEY=VALUE", value_parser = parse)]
    filters: Vec<(String, String)>,
}

/// Filters of keys that the list knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filters(BTreeMap<String, Vec<String>>);

impl FilterArgs {
    /// Those filters, for a command with an option of its own for them.
    pub(crate) fn new(filters: Vec<(String, String)>) -> Self {
        Self { filters }
    }

    /// The filters, if each is of one of these keys.
    pub(crate) fn of(&self, keys: &[&str]) -> anyhow::Result<Filters> {
        let mut filters = BTreeMap::<String, Vec<String>>::new();
        for (key, value) in &self.filters {
            anyhow::ensure!(
                keys.contains(&key.as_str()),
                "invalid filter '{key}': this list has {}",
                keys.join(", ")
            );
            filters.entry(key.clone()).or_default().push(value.clone());
        }
        Ok(Filters(filters))
    }
}

impl Filters {
    /// Whether no filter of that key is given, or one of them holds.
    pub(crate) fn any(&self, key: &str, holds: impl Fn(&str) -> bool) -> bool {
        self.0.get(key).is_none_or(|values| values.iter().any(|value| holds(value)))
    }

    /// As [`Self::any`], for values that must be one of these words.
    pub(crate) fn word(&self, key: &str, is: &str, words: &[&str]) -> anyhow::Result<bool> {
        for value in self.0.get(key).into_iter().flatten() {
            anyhow::ensure!(
                words.contains(&value.as_str()),
                "invalid filter '{key}={value}': one of {}",
                words.join(", ")
            );
        }
        Ok(self.any(key, |value| value == is))
    }

    /// The values given for a key.
    pub(crate) fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    /// The truth value given for a key, in Go's words; the last one counts.
    pub(crate) fn flag(&self, key: &str) -> anyhow::Result<Option<bool>> {
        let mut flag = None;
        for value in self.values(key) {
            flag = Some(match value {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
                "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
                _ => anyhow::bail!("invalid filter '{key}={value}': true or false"),
            });
        }
        Ok(flag)
    }

    /// Whether none of the labels refused under `key` is there.
    pub(crate) fn without(&self, key: &str, labels: &BTreeMap<String, String>) -> bool {
        !self.values(key).any(|refused| has(labels, refused))
    }

    /// Whether all labels asked for under `key` are there.
    pub(crate) fn labels(&self, key: &str, labels: &BTreeMap<String, String>) -> bool {
        self.values(key).all(|wanted| has(labels, wanted))
    }
}

fn has(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|it| it == value),
        None => labels.contains_key(wanted),
    }
}

/// Reads `KEY=VALUE`.
pub(crate) fn parse(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("bad format of filter (expected name=value)")?;
    Ok((key.trim().to_lowercase(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(given: &[(&str, &str)]) -> Filters {
        let filters = given.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        FilterArgs { filters }.of(&["name", "label", "mode"]).unwrap()
    }

    #[test]
    fn values_of_a_key_are_alternatives_and_keys_are_not() {
        let filters = filters(&[("name", "a"), ("name", "b"), ("label", "x=1"), ("label", "y")]);
        let labels = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };

        assert!(filters.any("name", |value| value == "b"));
        assert!(!filters.any("name", |value| value == "c"));
        assert!(filters.any("mode", |_| false));
        assert!(filters.labels("label", &labels(&[("x", "1"), ("y", "")])));
        assert!(!filters.labels("label", &labels(&[("x", "2"), ("y", "")])));
    }

    #[test]
    fn malformed_filters_are_refused() {
        assert!(parse("name").is_err());
        assert_eq!(parse(" Name = web"), Ok(("name".into(), "web".into())));
        let unknown = FilterArgs { filters: vec![("nope".into(), "x".into())] };
        assert!(unknown.of(&["name"]).unwrap_err().to_string().contains("nope"));
        assert!(filters(&[("mode", "x")]).flag("mode").is_err());
        assert_eq!(filters(&[("mode", "1")]).flag("mode").unwrap(), Some(true));
        assert!(filters(&[("mode", "x")]).word("mode", "global", &["global"]).is_err());
    }
}
