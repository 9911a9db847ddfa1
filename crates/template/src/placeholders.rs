//! What the placeholders in a service's spec stand for. The node fills them in for a task; the
//! managers do it once with made-up values, to refuse what cannot be filled in.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{Functions, Template};

/// What placeholders may name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Placeholders {
    /// Id of the service.
    pub service_id: String,
    /// Its name.
    pub service_name: String,
    /// Its labels.
    pub service_labels: BTreeMap<String, String>,
    /// Id of the node.
    pub node_id: String,
    /// Its host name.
    pub node_hostname: String,
    /// Its operating system, such as `linux`.
    pub node_os: String,
    /// Its processor, as `uname -m` says it.
    pub node_architecture: String,
    /// Id of the task.
    pub task_id: String,
    /// Its name.
    pub task_name: String,
    /// Its slot; the node's id for tasks without one.
    pub task_slot: String,
}

impl Placeholders {
    /// The text with its placeholders filled in.
    ///
    /// # Errors
    ///
    /// For people: why the text is no template, or what it names that is not there.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        let template = Template::parse(text).map_err(|error| error.to_string())?;
        let filled = template.render(&self.facts(), &Functions::placeholders());
        filled.map_err(|error| error.to_string())
    }

    /// The same for `KEY=VALUE`; only the value is looked at.
    ///
    /// # Errors
    ///
    /// As [`Self::fill`].
    pub fn fill_value(&self, pair: &str) -> Result<String, String> {
        match pair.split_once('=') {
            Some((key, value)) => Ok(format!("{key}={}", self.fill(value)?)),
            None => Ok(pair.to_owned()),
        }
    }

    fn facts(&self) -> Value {
        json!({
            "Service": {
                "ID": self.service_id,
                "Name": self.service_name,
                "Labels": self.service_labels,
            },
            "Node": {
                "ID": self.node_id,
                "Hostname": self.node_hostname,
                "Platform": { "Architecture": self.node_architecture, "OS": self.node_os },
            },
            "Task": { "ID": self.task_id, "Name": self.task_name, "Slot": self.task_slot },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        let it = Placeholders {
            service_name: "web".to_owned(),
            service_labels: [("tier".to_owned(), "db".to_owned())].into(),
            task_slot: "7".to_owned(),
            ..Placeholders::default()
        };
        it.fill_value(text)
    }

    #[test]
    fn the_value_of_a_pair_is_filled_in_and_its_key_is_not() {
        let text = "A={{.Service.Name}}-{{.Task.Slot}}-{{index .Service.Labels \"tier\"}}";
        assert_eq!(filled(text).unwrap(), "A=web-7-db");
        assert_eq!(filled("{{.Nope}}").unwrap(), "{{.Nope}}");
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_is() {
        let refusal = filled("A={{.Service.Nme}}").unwrap_err();
        assert!(refusal.contains("Nme") && refusal.contains("ID, Labels, Name"), "{refusal}");
        assert!(filled("A={{").is_err());
    }
}
