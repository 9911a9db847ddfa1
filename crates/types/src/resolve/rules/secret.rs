//! Rules about secrets and configs. Their contents are never shown.

use super::Rule;
use super::form::{bad_file_name, bad_label, shown};
use crate::Sensitive;
use crate::spec::Driver;
use crate::spec::secret::{ConfigSpec, SecretSpec};

/// A secret has fewer bytes than this.
const SECRET_LIMIT: usize = 512_000;
/// A config has fewer bytes than this.
const CONFIG_LIMIT: usize = 1_024_000;

pub(super) const SECRET_RULES: &[Rule<SecretSpec>] = &[
    Rule {
        id: "secret-name",
        field: "Name",
        says: "invalid name: letters, digits, - _ . with a letter or digit at both ends, at most 64",
        found: |spec| bad_file_name(&spec.annotations),
        breaks: |spec| spec.annotations.name = "key.".to_owned(),
    },
    Rule {
        id: "secret-label",
        field: "Labels",
        says: "a label needs a key without blanks around it",
        found: |spec| bad_label(&spec.annotations.labels),
        breaks: |spec| drop(spec.annotations.labels.insert(String::new(), String::new())),
    },
    Rule {
        id: "secret-size",
        field: "Data",
        says: "secret data must be larger than 0 and less than 512000 bytes",
        found: |spec| {
            let len = spec.data.expose().len();
            let good = spec.driver.is_some() || (1..SECRET_LIMIT).contains(&len);
            (!good).then(|| format!("{len} bytes"))
        },
        breaks: |spec| spec.data = Sensitive::new(vec![0; SECRET_LIMIT]),
    },
    Rule {
        id: "secret-driver",
        field: "Driver",
        says: "a secret driver needs a name and provides the data itself",
        found: |spec| {
            let driver = spec.driver.as_ref()?;
            let good = !driver.name.is_empty() && spec.data.expose().is_empty();
            (!good).then(|| shown(&driver.name))
        },
        breaks: |spec| spec.driver = Some(driver("vault")),
    },
    Rule {
        id: "secret-templating",
        field: "Templating",
        says: "the only template engine is golang",
        found: |spec| bad_engine(spec.templating.as_ref()),
        breaks: |spec| spec.templating = Some(driver("jinja")),
    },
];

pub(super) const CONFIG_RULES: &[Rule<ConfigSpec>] = &[
    Rule {
        id: "config-name",
        field: "Name",
        says: "invalid name: letters, digits, - _ . with a letter or digit at both ends, at most 64",
        found: |spec| bad_file_name(&spec.annotations),
        breaks: |spec| spec.annotations.name = "a".repeat(65),
    },
    Rule {
        id: "config-label",
        field: "Labels",
        says: "a label needs a key without blanks around it",
        found: |spec| bad_label(&spec.annotations.labels),
        breaks: |spec| drop(spec.annotations.labels.insert(String::new(), String::new())),
    },
    Rule {
        id: "config-size",
        field: "Data",
        says: "config data must be larger than 0 and less than 1024000 bytes",
        found: |spec| {
            let len = spec.data.len();
            (!(1..CONFIG_LIMIT).contains(&len)).then(|| format!("{len} bytes"))
        },
        breaks: |spec| spec.data = Vec::new(),
    },
    Rule {
        id: "config-templating",
        field: "Templating",
        says: "the only template engine is golang",
        found: |spec| bad_engine(spec.templating.as_ref()),
        breaks: |spec| spec.templating = Some(driver("jinja")),
    },
];

fn bad_engine(engine: Option<&Driver>) -> Option<String> {
    let name = &engine?.name;
    (!name.is_empty() && name != "golang").then(|| shown(name))
}

fn driver(name: &str) -> Driver {
    Driver { name: name.to_owned(), ..Driver::default() }
}
