//! The table that `swarm service ls` prints.

use swarm_client::ServiceRow;
use swarm_types::spec::service::ServiceMode;
use swarm_types::text::{natural_cmp, short_id};

use super::{familiar, ports};
use crate::output::{List, ListKind, Row};

static KIND: ListKind = ListKind {
    table: "{{.ID}}\t{{.Name}}\t{{.Mode}}\t{{.Replicas}}\t{{.Image}}\t{{.Ports}}",
    headers: &[
        ("ID", "ID"),
        ("Name", "NAME"),
        ("Mode", "MODE"),
        ("Replicas", "REPLICAS"),
        ("Image", "IMAGE"),
        ("Ports", "PORTS"),
    ],
    raw: &[
        ("id", "{{.ID}}"),
        ("name", "{{.Name}}"),
        ("mode", "{{.Mode}}"),
        ("replicas", "{{.Replicas}}"),
        ("image", "{{.Image}}"),
        ("ports", "{{.Ports}}"),
    ],
    quiet: "{{.ID}}",
    config_key: "servicesFormat",
};

/// Rows by name.
pub(crate) fn list(mut services: Vec<ServiceRow>) -> List {
    services.sort_by(|a, b| natural_cmp(name(a), name(b)));
    List::new(&KIND, services.iter().map(row).collect())
}

fn row(row: &ServiceRow) -> Row {
    let spec = &row.service.spec;
    let image = spec.task.container().map_or("", |it| it.image.as_str());
    Row::new([
        ("ID", short_id(row.service.id.as_str()).to_owned()),
        ("Name", name(row).to_owned()),
        ("Mode", mode(spec.mode).to_owned()),
        ("Replicas", replicas(row)),
        ("Image", familiar(image)),
        ("Ports", ports::of_service(&row.service.endpoint.ports)),
    ])
}

fn name(row: &ServiceRow) -> &str {
    &row.service.spec.annotations.name
}

/// The mode's words in the table; filters and the API join them with a hyphen.
pub(crate) const fn mode(mode: ServiceMode) -> &'static str {
    match mode {
        ServiceMode::Replicated { .. } => "replicated",
        ServiceMode::Global => "global",
        ServiceMode::ReplicatedJob { .. } => "replicated job",
        ServiceMode::GlobalJob => "global job",
    }
}

fn replicas(row: &ServiceRow) -> String {
    let counts = format!("{}/{}", row.running, row.desired);
    match (row.service.spec.task.placement.max_replicas, row.service.spec.mode) {
        (0, _) => counts,
        (most, ServiceMode::Replicated { .. }) => format!("{counts} (max {most} per node)"),
        _ => counts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::shown;
    use crate::view::fixture;

    #[test]
    fn services_look_as_dockers_do() {
        let mut web = fixture::service("web-10", 1);
        web.spec.task.placement.max_replicas = 2;
        let api = fixture::service("web-2", 2);
        let row = |service, running| ServiceRow { service, running, desired: 3 };
        let list = list(vec![row(web, 2), row(api, 3)]);

        let expected = "\
ID             NAME      MODE         REPLICAS               IMAGE     PORTS
ID2            web-2     replicated   3/3                    web:1     *:8080->80/tcp
ID1            web-10    replicated   2/3 (max 2 per node)   web:1     *:8080->80/tcp
"
        .replace("ID2         ", &fixture::short_id::<swarm_types::ServiceId>(2))
        .replace("ID1         ", &fixture::short_id::<swarm_types::ServiceId>(1));
        assert_eq!(shown(&list, "table"), expected);
        assert_eq!(shown(&list, "{{.Name}} {{.Mode}}"), "web-2 replicated\nweb-10 replicated\n");
        assert!(shown(&list, "raw").starts_with("id: "));
    }
}
