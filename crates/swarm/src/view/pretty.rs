//! Objects for people, in the layout of Docker's `inspect --pretty`, which scripts read too: its
//! labels, its order, and tabs where it has tabs.

mod node;
mod service;

pub(crate) use node::node;
pub(crate) use service::service;

use std::fmt::Display;

/// Lines that are built one by one.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, line: impl Display) -> &mut Self {
        self.0.push_str(&format!("{line}\n"));
        self
    }

    /// Left out when the value is empty.
    fn some(&mut self, label: &str, value: impl Display) -> &mut Self {
        let value = value.to_string();
        if value.is_empty() { self } else { self.line(format_args!("{label}{value}")) }
    }

    fn labels(
        &mut self,
        title: &str,
        before: &str,
        labels: &std::collections::BTreeMap<String, String>,
    ) -> &mut Self {
        if !labels.is_empty() {
            self.line(title);
        }
        for (key, value) in labels {
            let equals = if value.is_empty() { "" } else { "=" };
            self.line(format_args!("{before}{key}{equals}{value}"));
        }
        self
    }

    /// The lines, without an end of the last one.
    fn finish(self) -> String {
        self.0.trim_end().to_owned()
    }
}

/// A time as Docker shows it.
fn time(at: swarm_types::Timestamp) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S.%f +0000 utc").to_string()
}
