//! What a node runs: as the command line says, and as containerd says.

use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use serde_json::Value;

use crate::{Node, Process, Ran, Row, until};

impl Node {
    /// The tasks of a service with their history, newest first in each slot.
    #[track_caller]
    #[must_use]
    pub fn history(&self, service: &str) -> Vec<Row> {
        let line = ["--format", "json", "service", "ps", "--no-trunc", service];
        self.swarm(&line).objects().iter().map(Row::of).collect()
    }

    /// As [`Node::history`]; `None` while the daemon does not serve.
    #[must_use]
    pub fn history_now(&self, service: &str) -> Option<Vec<Row>> {
        let ran = self.swarm(&["--format", "json", "service", "ps", "--no-trunc", service]);
        (ran.code == Some(0)).then(|| ran.objects().iter().map(Row::of).collect())
    }

    /// Waits until exactly `count` tasks of a service run, and returns them by name.
    #[track_caller]
    pub fn running(&self, service: &str, count: usize) -> Vec<Row> {
        until(&format!("{count} tasks of {service} run"), || {
            let history = self.history(service);
            let rows: Vec<Row> = history.iter().filter(|row| row.runs()).cloned().collect();
            if rows.len() == count { Ok(rows) } else { Err(format!("{history:#?}")) }
        })
    }

    /// Waits until the history of a service is as `wanted` says, and returns it.
    #[track_caller]
    pub fn history_when(
        &self,
        what: &str,
        service: &str,
        wanted: impl Fn(&[Row]) -> bool,
    ) -> Vec<Row> {
        until(what, || {
            let rows = self.history(service);
            if wanted(&rows) { Ok(rows) } else { Err(format!("{rows:#?}")) }
        })
    }

    /// The labels of a container. They are an extension of containerd's record, as JSON.
    ///
    /// # Panics
    ///
    /// When there is no such container, or it has no labels of ours.
    #[track_caller]
    #[must_use]
    pub fn labels(&self, task: &str) -> Value {
        let info = self.ctr(&["containers", "info", task]);
        let info: Value = serde_json::from_str(&info).unwrap_or_else(|why| panic!("{why}: {info}"));
        let extensions = info["Extensions"].as_object().into_iter().flatten();
        let values = extensions.filter_map(|(_, extension)| extension["value"].as_str());
        let decoded = values.filter_map(|value| STANDARD.decode(value).ok());
        let mut labels = decoded.filter_map(|json| serde_json::from_slice::<Value>(&json).ok());
        let found = labels.find_map(|kept| kept.get("labels").cloned());
        found.unwrap_or_else(|| panic!("no labels in {info}"))
    }

    /// The processes of containers that run, by the id of their task.
    #[track_caller]
    #[must_use]
    pub fn processes(&self) -> Vec<(String, Process)> {
        let list = self.ctr(&["tasks", "ls"]);
        let mut processes: Vec<_> = list.lines().filter_map(running_process).collect();
        processes.sort();
        processes
    }

    /// The ids of all containers of the node, running or not.
    #[track_caller]
    #[must_use]
    pub fn containers(&self) -> Vec<String> {
        self.ctr(&["containers", "ls", "-q"]).lines().map(str::to_owned).collect()
    }

    /// The process of a task.
    ///
    /// # Panics
    ///
    /// When it does not run.
    #[track_caller]
    #[must_use]
    pub fn process(&self, task: &str) -> Process {
        let processes = self.processes();
        let found = processes.iter().find(|(id, _)| id == task).map(|(_, process)| *process);
        found.unwrap_or_else(|| panic!("no process of {task} among {processes:?}"))
    }

    /// Runs `ctr` on the node's containers.
    ///
    /// # Panics
    ///
    /// When it fails.
    #[track_caller]
    pub fn ctr(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.dir().join("c/c.sock"));
        command.args(["--namespace", "swarm"]).args(arguments);
        let output = command.output().unwrap_or_else(|why| panic!("run ctr: {why}"));
        Ran::new(format!("ctr {}", arguments.join(" ")), &output).ok().to_owned()
    }
}

/// A line of `ctr tasks ls`: id, pid, status.
fn running_process(line: &str) -> Option<(String, Process)> {
    let mut words = line.split_whitespace();
    let (id, pid, status) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    (status == "RUNNING").then(|| (id.to_owned(), Process(pid)))
}
