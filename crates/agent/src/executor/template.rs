//! Placeholders in a task's spec, filled in on its node.
//!
//! Docker's set: service, node and task, in environment values, host name, mounts, and labels
//! and options of volumes. A field that is not there is an error, never an empty text.

use swarm_types::Task;

use super::ExecError;

/// What placeholders may name of the node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct NodeFacts {
    pub(crate) hostname: String,
    /// As `uname -m` says it.
    pub(crate) architecture: String,
    pub(crate) os: String,
}

/// What the placeholders of one task stand for.
pub(super) struct Placeholders(swarm_template::Placeholders);

impl Placeholders {
    pub(super) fn of(task: &Task, node: &NodeFacts) -> Self {
        let text = |id: Option<String>| id.unwrap_or_default();
        let service = &task.template.service_annotations;
        let node_id = text(task.node.map(|node| node.to_string()));
        let slot = if task.template.global { node_id.clone() } else { task.slot.to_string() };
        Self(swarm_template::Placeholders {
            service_id: text(task.service().map(|service| service.to_string())),
            service_name: service.name.clone(),
            service_labels: service.labels.clone(),
            node_id,
            node_hostname: node.hostname.clone(),
            node_os: node.os.clone(),
            node_architecture: node.architecture.clone(),
            task_id: task.id.to_string(),
            task_name: task.name(),
            task_slot: slot,
        })
    }

    /// The text with its placeholders filled in.
    pub(super) fn fill(&self, field: &'static str, text: &str) -> Result<String, ExecError> {
        self.0.fill(text).map_err(|why| ExecError::Spec { field, why })
    }

    /// The same for `KEY=VALUE`; only the value is looked at.
    pub(super) fn fill_value(&self, field: &'static str, pair: &str) -> Result<String, ExecError> {
        self.0.fill_value(pair).map_err(|why| ExecError::Spec { field, why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::samples::task;

    fn filled(text: &str) -> Result<String, ExecError> {
        let node = NodeFacts {
            hostname: "n1".to_owned(),
            architecture: "x86_64".to_owned(),
            os: "linux".to_owned(),
        };
        Placeholders::of(&task(7, |_| {}), &node).fill_value("Env", text)
    }

    #[test]
    fn every_placeholder_is_known() {
        let all = "A={{.Service.Name}} {{.Task.Slot}} {{.Node.Hostname}} \
                   {{.Node.Platform.Architecture}}/{{.Node.Platform.OS}}";
        assert_eq!(filled(all).unwrap(), "A=web 7 n1 x86_64/linux");
        let task = task(7, |_| {});
        let name =
            format!("A=web.7.{} {} {}", task.id, task.node.unwrap(), task.service().unwrap());
        let ids = filled("A={{.Task.Name}} {{.Node.ID}} {{.Service.ID}}").unwrap();
        assert_eq!(ids, name);
        assert_eq!(filled("A={{.Task.ID}}").unwrap(), format!("A={}", task.id));
    }

    #[test]
    fn an_unknown_placeholder_is_an_error_and_a_key_is_no_template() {
        assert!(filled("A={{.Service.Nme}}").unwrap_err().in_full().contains("Nme"));
        assert!(filled("A={{").is_err());
        assert_eq!(filled("{{.Task.ID}}").unwrap(), "{{.Task.ID}}");
    }
}
