//! Objects for people, in the order of Docker's `inspect --pretty`.

mod node;
mod service;

pub(crate) use node::node;
pub(crate) use service::service;

/// Lines that are built one by one; what is empty is left out.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, label: &str, value: impl ToString) -> &mut Self {
        self.0.push_str(&format!("{label}:\t{}\n", value.to_string()));
        self
    }

    /// Left out when the value is empty.
    fn some(&mut self, label: &str, value: impl ToString) -> &mut Self {
        let value = value.to_string();
        if !value.is_empty() {
            self.line(label, value);
        }
        self
    }

    fn title(&mut self, title: &str) -> &mut Self {
        self.0.push_str(&format!("{title}:\n"));
        self
    }

    fn raw(&mut self, line: &str) -> &mut Self {
        self.0.push_str(line);
        self.0.push('\n');
        self
    }

    fn labels(
        &mut self,
        title: &str,
        labels: &std::collections::BTreeMap<String, String>,
    ) -> &mut Self {
        if !labels.is_empty() {
            self.title(title);
        }
        for (key, value) in labels {
            self.raw(&format!(" - {key}{}{value}", if value.is_empty() { "" } else { "=" }));
        }
        self
    }

    /// Labels and values below each other.
    fn finish(self) -> String {
        let mut text = String::new();
        for line in self.0.lines() {
            let line = match line.split_once(":\t") {
                Some((label, value)) => format!("{:<16} {value}", format!("{label}:")),
                None => line.to_owned(),
            };
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.trim_end().to_owned()
    }
}

/// A time as Docker shows it.
fn time(at: swarm_types::Timestamp) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S.%f +0000 utc").to_string()
}
