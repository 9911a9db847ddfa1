//! Rules about a node.

use super::Rule;
use super::form::{bad_file_name, bad_label};
use crate::spec::node::NodeSpec;

pub(super) const RULES: &[Rule<NodeSpec>] = &[
    Rule {
        id: "node-name",
        field: "Name",
        says: "invalid name: letters, digits, - _ . with a letter or digit at both ends, at most 64",
        found: |spec| {
            if spec.annotations.name.is_empty() { None } else { bad_file_name(&spec.annotations) }
        },
        breaks: |spec| spec.annotations.name = "a b".to_owned(),
    },
    Rule {
        id: "node-label",
        field: "Labels",
        says: "a label needs a key without blanks around it",
        found: |spec| bad_label(&spec.annotations.labels),
        breaks: |spec| drop(spec.annotations.labels.insert(" a".to_owned(), String::new())),
    },
];
