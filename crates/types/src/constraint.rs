//! Placement constraints: `KEY==VALUE` and `KEY!=VALUE`, as in `node.labels.rack!=r1`.
//!
//! Here is the grammar only, so that a malformed constraint is refused when a service is
//! created. Which nodes satisfy one is the scheduler's business.

use std::fmt;
use std::str::FromStr;

/// One expression. `Display` gives its text back without the blanks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Constraint {
    /// What is compared.
    pub key: Key,
    /// Whether it must be equal or must differ.
    pub op: Op,
    /// What it is compared with, ASCII case ignored. No patterns.
    pub value: String,
}

/// What a constraint compares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Key {
    /// The node's id.
    NodeId,
    /// The node's host name.
    NodeHostname,
    /// The node's address; the value is an address or a subnet.
    NodeIp,
    /// `manager` or `worker`, as certified.
    NodeRole,
    /// Operating system.
    PlatformOs,
    /// Processor, as the node reports it.
    PlatformArch,
    /// A label of the node's spec; its case matters.
    NodeLabel(String),
    /// A label set on the machine; its case matters.
    EngineLabel(String),
    /// Anything else: well formed, but no node ever matches, whatever the operator.
    Unknown(String),
}

/// How a constraint compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// Must be equal.
    Eq,
    /// Must differ; holds where the label is missing.
    Ne,
}

/// Why a text is not a constraint.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidConstraint {
    /// Neither operator occurs.
    #[error("constraint expected one operator from ==, !=")]
    Operator,
    /// The key is malformed.
    #[error("key {key:?} is invalid: two or more of A-Z a-z 0-9 - _ . and no digit first")]
    Key {
        /// The key as typed.
        key: String,
    },
    /// The value is malformed.
    #[error("value {value:?} is invalid")]
    Value {
        /// The value as typed.
        value: String,
    },
}

const PLAIN_KEYS: [(&str, Key); 6] = [
    ("node.id", Key::NodeId),
    ("node.hostname", Key::NodeHostname),
    ("node.ip", Key::NodeIp),
    ("node.role", Key::NodeRole),
    ("node.platform.os", Key::PlatformOs),
    ("node.platform.arch", Key::PlatformArch),
];
const NODE_LABELS: &str = "node.labels.";
const ENGINE_LABELS: &str = "engine.labels.";

impl FromStr for Constraint {
    type Err = InvalidConstraint;

    fn from_str(text: &str) -> Result<Self, InvalidConstraint> {
        let (key, op, value) = match (text.split_once("=="), text.split_once("!=")) {
            (Some((key, value)), _) => (key, Op::Eq, value),
            (None, Some((key, value))) => (key, Op::Ne, value),
            (None, None) => return Err(InvalidConstraint::Operator),
        };
        let (key, value) = (key.trim(), value.trim());
        if !is_key(key) {
            return Err(InvalidConstraint::Key { key: key.to_owned() });
        }
        if value.is_empty() || !value.bytes().all(is_value_byte) {
            return Err(InvalidConstraint::Value { value: value.to_owned() });
        }
        Ok(Self { key: Key::of(key), op, value: value.to_owned() })
    }
}

fn is_key(key: &str) -> bool {
    let mut bytes = key.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && key.len() >= 2
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn is_value_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b":-_ \t\n\x0c\r.*()?+[]\\^$|/".contains(&byte)
}

impl Key {
    fn of(text: &str) -> Self {
        let plain = PLAIN_KEYS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        if let Some((_, key)) = plain {
            key
        } else if let Some(label) = label_after(NODE_LABELS, text) {
            Self::NodeLabel(label)
        } else if let Some(label) = label_after(ENGINE_LABELS, text) {
            Self::EngineLabel(label)
        } else {
            Self::Unknown(text.to_owned())
        }
    }
}

fn label_after(prefix: &str, text: &str) -> Option<String> {
    let (head, label) = text.split_at_checked(prefix.len())?;
    (head.eq_ignore_ascii_case(prefix) && !label.is_empty()).then(|| label.to_owned())
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeLabel(label) => write!(f, "{NODE_LABELS}{label}"),
            Self::EngineLabel(label) => write!(f, "{ENGINE_LABELS}{label}"),
            Self::Unknown(text) => f.write_str(text),
            plain => {
                let name = PLAIN_KEYS.iter().find(|(_, key)| key == plain).map(|(name, _)| *name);
                f.write_str(name.unwrap_or_default())
            }
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            Op::Eq => "==",
            Op::Ne => "!=",
        };
        write!(f, "{}{op}{}", self.key, self.value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_ignore_case_and_labels_do_not() {
        for (text, key, op, value) in [
            ("node.id==x", Key::NodeId, Op::Eq, "x"),
            (" Node.Role != Manager ", Key::NodeRole, Op::Ne, "Manager"),
            ("NODE.LABELS.Rack==r 1", Key::NodeLabel("Rack".into()), Op::Eq, "r 1"),
            ("engine.labels.a.b==[x]", Key::EngineLabel("a.b".into()), Op::Eq, "[x]"),
            ("node.ip==10.0.0.0/8", Key::NodeIp, Op::Eq, "10.0.0.0/8"),
            ("node.labels.==x", Key::Unknown("node.labels.".into()), Op::Eq, "x"),
        ] {
            let parsed: Constraint = text.parse().unwrap();
            assert_eq!(parsed, Constraint { key, op, value: value.to_owned() });
        }
    }

    #[test]
    fn malformed_constraints_are_refused() {
        for text in ["", "node.id", "node.id=x", "node.id>x"] {
            assert_eq!(text.parse::<Constraint>(), Err(InvalidConstraint::Operator), "{text}");
        }
        for text in ["==x", "a==x", "1a==x", "a b==x", "a!=b==c", "é.x==x"] {
            let refused = text.parse::<Constraint>();
            assert!(matches!(refused, Err(InvalidConstraint::Key { .. })), "{text}: {refused:?}");
        }
        for text in ["node.id==", "node.id== ", "node.id==a@b", "node.id==a,b", "node.id==a==b"] {
            let refused = text.parse::<Constraint>();
            assert!(matches!(refused, Err(InvalidConstraint::Value { .. })), "{text}: {refused:?}");
        }
    }

    proptest! {
        /// What was understood, written out, is understood the same way.
        #[test]
        fn the_text_form_parses_back(
            key in "(node\\.(id|role|labels\\.[A-Za-z0-9_.-]{1,8})|engine\\.labels\\.x|[a-z_][a-z.]{1,6})",
            op in "(==|!=)",
            value in "[A-Za-z0-9:*?/|$.-]{1,9}",
        ) {
            let parsed: Constraint = format!("{key} {op} {value}").parse().unwrap();
            prop_assert_eq!(parsed.to_string(), format!("{key}{op}{value}"));
            prop_assert_eq!(parsed.to_string().parse::<Constraint>().unwrap(), parsed);
        }
    }
}
