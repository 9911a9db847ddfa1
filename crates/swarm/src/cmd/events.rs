//! `swarm events [--filter KEY=VALUE] [--format FORMAT]`
//!
//! What happens from now on, one line each, until interrupted. What happened before is not
//! kept, so `--since` and an `--until` in the past show nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use swarm_client::{Client, ObjectEvent};
use swarm_types::Timestamp;

use crate::output::{Printer, Row};
use crate::view::filter::{FilterArgs, Filters};
use crate::view::moment;

/// Keys of filters: words of objects name one of them.
const KEYS: &[&str] =
    &["type", "event", "label", "node", "service", "task", "network", "secret", "config", "scope"];

#[derive(clap::Args, Debug)]
pub(crate) struct Events {
    #[command(flatten)]
    filter: FilterArgs,
    /// Accepted; events before now are not kept
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    since: Option<moment::Moment>,
    /// Stop at that time
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    until: Option<moment::Moment>,
}

pub(crate) async fn run(args: Events, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let filters = args.filter.of(KEYS)?;
    let template = out.row_template()?;
    let now = Timestamp::now();
    if args.since.is_some_and(|since| since.at(now) < now) {
        out.warn("events of the past are not kept: showing those from now on");
    }
    let until = args.until.map(|until| until.at(now).since(now));
    let mut events = client.events(&[]).await?;
    let end = async {
        match until {
            Some(until) => tokio::time::sleep(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    loop {
        let batch = tokio::select! {
            batch = events.next() => batch?,
            () = &mut end => return Ok(()),
        };
        let Some(batch) = batch else { anyhow::bail!("the manager ended the stream: ask again") };
        for event in batch.iter().filter(|event| matches(event, &filters)) {
            match &template {
                Some(template) => {
                    let row = row(event);
                    out.line(row.render(template)?)?;
                }
                None => out.line(line(event))?,
            }
        }
    }
}

fn matches(event: &ObjectEvent, filters: &Filters) -> bool {
    let labels: BTreeMap<String, String> = event.attributes.clone();
    // `service=web` holds for the service itself and for what names it.
    let of = |kind: &str| {
        filters.any(kind, |wanted| {
            let own = event.kind == kind && (event.id.starts_with(wanted) || event.name == wanted);
            own || event.attributes.get(kind).is_some_and(|it| it.as_str() == wanted)
        })
    };
    filters.any("type", |kind| kind == event.kind)
        && filters.any("event", |action| action == event.action)
        && filters.any("scope", |scope| scope == "swarm")
        && filters.labels("label", &labels)
        && ["node", "service", "task", "network", "secret", "config"].iter().all(|kind| of(kind))
}

/// The shape of Docker's `GET /events`.
fn object(event: &ObjectEvent) -> Vec<(&'static str, Value)> {
    let mut attributes = event.attributes.clone();
    if !event.name.is_empty() {
        attributes.insert("name".to_owned(), event.name.clone());
    }
    vec![
        ("Type", event.kind.into()),
        ("Action", event.action.into()),
        ("Actor", json!({ "ID": event.id, "Attributes": attributes })),
        ("scope", "swarm".into()),
        ("time", (event.at.0 / 1_000_000_000).into()),
        ("timeNano", event.at.0.into()),
    ]
}

fn row(event: &ObjectEvent) -> Row {
    object(event).into_iter().fold(Row::default(), |row, (key, value)| row.with(key, value))
}

/// `TIME TYPE ACTION ID (key=value, ...)`
fn line(event: &ObjectEvent) -> String {
    let mut attributes = event.attributes.clone();
    if !event.name.is_empty() {
        attributes.insert("name".to_owned(), event.name.clone());
    }
    let pairs: Vec<String> =
        attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let time = moment::nine_digits(event.at);
    format!("{time} {} {} {} ({})", event.kind, event.action, event.id, pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> ObjectEvent {
        ObjectEvent {
            at: Timestamp(1_500_000_000),
            kind: "service",
            action: "update",
            id: "abc".into(),
            name: "web".into(),
            attributes: [("replicas.new".to_owned(), "2".to_owned())].into(),
        }
    }

    #[test]
    fn an_event_has_dockers_shape() {
        assert_eq!(
            line(&event()),
            "1970-01-01T00:00:01.500000000Z service update abc (name=web, replicas.new=2)"
        );
        let template = swarm_template::Template::parse("{{json .}}").unwrap();
        let shown: Value = serde_json::from_str(&row(&event()).render(&template).unwrap()).unwrap();
        assert_eq!(shown["Actor"]["Attributes"]["name"], "web");
        assert_eq!((&shown["time"], &shown["timeNano"]), (&json!(1), &json!(1_500_000_000)));
    }
}
