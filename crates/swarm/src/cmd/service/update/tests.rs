use clap::Parser;

use super::*;
use crate::view::fixture;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    update: Update,
}

fn update(spec: ServiceSpec, flags: &[&str]) -> anyhow::Result<ServiceSpec> {
    let mut service = fixture::service("web", 1);
    service.spec = spec;
    let line = Line::try_parse_from([&["update"], flags, &["web"]].concat())?;
    edited(line.update, &service)
}

/// A spec after these updates, one after the other.
fn after(updates: &[&[&str]]) -> ServiceSpec {
    let start = fixture::service("web", 1).spec;
    updates.iter().fold(start, |spec, flags| {
        update(spec, flags).unwrap_or_else(|error| panic!("{flags:?}: {error}"))
    })
}

#[test]
fn nothing_given_changes_nothing() {
    assert_eq!(after(&[&[]]), fixture::service("web", 1).spec);
}

#[test]
fn plain_flags_set_and_leave_the_rest() {
    let spec = after(&[
        &["--limit-memory", "1m", "--hostname", "a"],
        &["--image", "web:2", "--args", "-x 'a b'", "--replicas", "4", "--limit-cpu", "1"],
    ]);
    let it = spec.task.container().unwrap();

    assert_eq!((it.image.as_str(), it.hostname.as_str()), ("web:2", "a"));
    assert_eq!(it.args, ["-x", "a b"]);
    assert_eq!(spec.mode, ServiceMode::Replicated { replicas: 4 });
    assert_eq!(spec.task.resources.limits.memory_bytes, 1 << 20);
}

#[test]
fn variables_are_removed_by_key_and_replaced_at_the_end() {
    let spec = after(&[
        &["--env-add", "A=1", "--env-add", "B=2", "--env-add", "C=3"],
        &["--env-rm", "B", "--env-add", "A=9"],
    ]);
    assert_eq!(spec.task.container().unwrap().env, ["C=3", "A=9"]);
}

#[test]
fn labels_are_removed_before_others_are_added() {
    let spec = after(&[
        &["--label-add", "a=1", "--label-add", "b=2", "--container-label-add", "c=3"],
        &["--label-rm", "a", "--label-add", "a=9", "--container-label-rm", "c"],
    ]);
    assert_eq!(spec.annotations.labels["a"], "9");
    assert_eq!(spec.annotations.labels.len(), 2);
    assert!(spec.task.container().unwrap().labels.is_empty());
}

#[test]
fn constraints_are_added_then_removed_and_sorted() {
    let spec = after(&[
        &["--constraint-add", "node.role==manager", "--constraint-add", "a.b==c"],
        &["--constraint-add", "node.id==x", "--constraint-rm", "node.id==x"],
    ]);
    assert_eq!(spec.task.placement.constraints, ["a.b==c", "node.role==manager"]);
}

#[test]
fn preferences_keep_their_order() {
    let spec = after(&[
        &[
            "--placement-pref-add",
            "spread=node.labels.b",
            "--placement-pref-add",
            "spread=node.labels.a",
        ],
        &[
            "--placement-pref-rm",
            "spread=node.labels.b",
            "--placement-pref-add",
            "spread=node.labels.c",
        ],
    ]);
    let shown = format!("{:?}", spec.task.placement.preferences);
    assert!(shown.find("labels.a").unwrap() < shown.find("labels.c").unwrap());
    assert!(!shown.contains("labels.b"));
}

#[test]
fn mounts_are_merged_by_target_and_sorted() {
    let spec = after(&[
        &["--mount-add", "source=b,target=/b", "--mount-add", "source=a,target=/a"],
        &[
            "--mount-add",
            "source=z,target=/b",
            "--mount-rm",
            "/a",
            "--mount-add",
            "type=tmpfs,target=/t",
        ],
    ]);
    let mounts = &spec.task.container().unwrap().mounts;
    let shown: Vec<_> = mounts.iter().map(|it| (it.source.as_str(), it.target.as_str())).collect();
    assert_eq!(shown, [("", "/t"), ("z", "/b")]);
}

#[test]
fn ports_are_removed_by_target_protocol_and_mode() {
    let ports = |updates: &[&[&str]]| -> Vec<(u16, u16)> {
        after(updates).endpoint.ports.iter().map(|it| (it.published, it.target)).collect()
    };
    let start: &[&str] = &[
        "--publish-add",
        "8080:80",
        "--publish-add",
        "target=80,published=81,mode=host",
        "--publish-add",
        "53:53/udp",
    ];

    assert_eq!(ports(&[start, &["--publish-rm", "80"]]), [(53, 53), (81, 80)]);
    assert_eq!(ports(&[start, &["--publish-rm", "target=80,mode=host"]]), [(53, 53), (8080, 80)]);
    assert_eq!(ports(&[start, &["--publish-rm", "53"]]).len(), 3);
    assert_eq!(ports(&[start, &["--publish-add", "8080:80"]]).len(), 3);
}

#[test]
fn hosts_lose_names_and_empty_lines_go() {
    let spec = after(&[
        &["--host-add", "a:10.0.0.1", "--host-add", "a:10.0.0.2", "--host-add", "b:10.0.0.1"],
        &["--host-rm", "a:10.0.0.1", "--host-rm", "b", "--host-add", "c:10.0.0.3"],
    ]);
    assert_eq!(spec.task.container().unwrap().hosts, ["10.0.0.2 a", "10.0.0.3 c"]);
}

#[test]
fn lists_of_words_are_sorted() {
    let spec = after(&[
        &["--group-add", "b", "--group-add", "a", "--dns-add", "9.9.9.9", "--dns-add", "1.1.1.1"],
        &[
            "--group-rm",
            "b",
            "--group-add",
            "c",
            "--dns-search-add",
            "x.org",
            "--dns-option-add",
            "o",
        ],
    ]);
    let it = spec.task.container().unwrap();
    assert_eq!(it.groups, ["a", "c"]);
    assert_eq!(it.dns.nameservers, ["1.1.1.1", "9.9.9.9"]);
    assert_eq!((it.dns.search.len(), it.dns.options.len()), (1, 1));
}

#[test]
fn sysctls_ulimits_and_resources_are_kept_by_name() {
    let spec = after(&[
        &["--sysctl-add", "a=1", "--ulimit-add", "nofile=1", "--generic-resource-add", "gpu=1"],
        &[
            "--sysctl-rm",
            "a",
            "--sysctl-add",
            "b=2",
            "--ulimit-add",
            "nofile=5",
            "--generic-resource-add",
            "gpu=2",
        ],
    ]);
    let it = spec.task.container().unwrap();
    assert_eq!(it.sysctls.keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!((it.ulimits.len(), it.ulimits[0].soft), (1, 5));
    assert_eq!(spec.task.resources.reservations.generic.len(), 1);
    assert!(update(spec, &["--generic-resource-rm", "fpga"]).is_err());
}

#[test]
fn capabilities_have_three_states() {
    let caps = |updates: &[&[&str]]| {
        let spec = after(updates);
        let it = spec.task.container().unwrap().clone();
        (it.capability_add.join(","), it.capability_drop.join(","))
    };
    let shown = |add: &str, drop: &str| (add.to_owned(), drop.to_owned());
    let start: &[&str] = &["--cap-add", "a", "--cap-drop", "b"];

    assert_eq!(caps(&[start]), shown("CAP_A", "CAP_B"));
    assert_eq!(caps(&[start, &["--cap-add", "b"]]), shown("CAP_A", ""));
    assert_eq!(caps(&[start, &["--cap-drop", "a"]]), shown("", "CAP_B"));
    assert_eq!(caps(&[start, &["--cap-add", "RESET", "--cap-add", "c"]]), shown("CAP_C", "CAP_B"));
    assert_eq!(caps(&[start, &["--cap-drop", "ALL"]]), shown("CAP_A", "ALL"));
    assert_eq!(caps(&[&["--cap-add", "x", "--cap-drop", "x"]]), shown("CAP_X", ""));
}

#[test]
fn networks_are_added_once() {
    let spec = after(&[&["--network-rm", "bridge", "--network-add", "host"]]);
    assert_eq!(spec.task.networks.len(), 1);
    assert!(update(spec.clone(), &["--network-add", "host"]).is_err());
    assert!(update(spec, &["--network-rm", "host"]).unwrap().task.networks.is_empty());
}

#[test]
fn networks_that_exclude_each_other_are_refused_with_the_flag_that_helps() {
    let on_bridge = || fixture::service("web", 1).spec;
    let on_host = || after(&[&["--network-add", "host", "--network-rm", "bridge"]]);
    for (spec, flags, parts) in [
        (on_bridge(), &["--network-add", "host"][..], ["network bridge", "--network-rm bridge"]),
        (on_bridge(), &["--network-add", "bridge"], ["already attached", "bridge"]),
        (on_bridge(), &["--network-rm", "bridge"], ["--network-rm bridge", "--network-add host"]),
        (on_host(), &["--network-add", "none"], ["network host", "--network-rm host"]),
        (on_host(), &["--network-add", "bridge"], ["network host", "--network-rm host"]),
        (on_host(), &["--network-rm", "nope"], ["--network-rm nope: no such", "bridge, host"]),
        (on_host(), &["--network-add", "nope"], ["--network-add nope: no such", "bridge, host"]),
    ] {
        let refusal = update(spec, flags).unwrap_err().to_string();
        assert!(parts.iter().all(|part| refusal.contains(part)), "{flags:?}: {refusal}");
    }
    let moved = update(on_host(), &["--network-rm", "host", "--network-add", "bridge"]).unwrap();
    assert!(moved.task.networks.is_empty());
}

fn missing(spec: &ServiceSpec, flags: &[&str]) -> Vec<String> {
    let line = Line::try_parse_from([&["update"], flags, &["web"]].concat()).unwrap();
    line.update.edits.missing(spec)
}

#[test]
fn a_port_that_is_not_removed_is_named_with_the_flag_that_removes_it() {
    let spec = after(&[&[
        "--publish-add",
        "target=80,published=81,mode=host",
        "--publish-add",
        "target=53,protocol=udp,mode=host",
    ]]);

    assert_eq!(
        missing(&spec, &["--publish-rm", "80"]),
        ["--publish-rm 80/tcp: no such port is published in mode ingress, nothing is removed; \
          there is --publish-rm target=80,protocol=tcp,mode=host"]
    );
    assert_eq!(
        missing(&spec, &["--publish-rm", "99/udp"]),
        ["--publish-rm 99/udp: no such port is published in mode ingress, nothing is removed"]
    );
    let removed = &["--publish-rm", "target=80,protocol=tcp,mode=host"];
    assert_eq!(missing(&spec, removed), [""; 0]);
    assert_eq!(update(spec, removed).unwrap().endpoint.ports.len(), 1);
}

/// Every flag that removes: it tells of what is not there, and not of what is.
#[test]
fn nothing_is_left_in_silence_that_was_to_be_removed() {
    for (list, there, gone) in [
        ("label", "a=1", "a"),
        ("container-label", "a=1", "a"),
        ("env", "A=1", "A"),
        ("group", "g", "g"),
        ("mount", "source=a,target=/a", "/a"),
        ("host", "db:10.0.0.1", "db:10.0.0.1"),
        ("dns", "9.9.9.9", "9.9.9.9"),
        ("dns-option", "o", "o"),
        ("dns-search", "x.org", "x.org"),
        ("sysctl", "a=1", "a"),
        ("ulimit", "nofile=1", "nofile"),
        ("constraint", "node.id==x", "node.id==x"),
        ("placement-pref", "spread=node.labels.b", "spread=node.labels.b"),
    ] {
        let (add, rm) = (format!("--{list}-add"), format!("--{list}-rm"));
        let with = after(&[&[&add, there]]);
        let without = fixture::service("web", 1).spec;

        assert_eq!(missing(&with, &[&rm, gone]), [""; 0]);
        let told = missing(&without, &[&rm, gone]);
        assert_eq!(told, [format!("{rm} {gone}: the service has none, nothing is removed")]);
    }
    let on_bridge = fixture::service("web", 1).spec;
    assert_eq!(missing(&on_bridge, &["--network-rm", "host"]).len(), 1);
    assert_eq!(missing(&on_bridge, &["--network-rm", "bridge"]), [""; 0]);
}

#[test]
fn health_and_rolling_flags_start_from_what_is_there() {
    let spec = after(&[&["--no-healthcheck"], &["--health-interval", "1s"]]);
    assert!(spec.task.container().unwrap().healthcheck.as_ref().unwrap().test.is_empty());
    let spec = after(&[&["--health-cmd", "x"], &["--health-cmd", ""]]);
    assert!(spec.task.container().unwrap().healthcheck.as_ref().unwrap().test.is_empty());

    let spec = after(&[&["--update-parallelism", "3"], &["--update-delay", "1s"]]);
    let update = spec.update.unwrap();
    assert_eq!((update.parallelism, update.monitor), (3, swarm_types::defaults::UPDATE_MONITOR));
}

#[test]
fn force_counts_up() {
    assert_eq!(after(&[&["--force"], &["--force"]]).task.force_update, 2);
}

#[test]
fn rollback_stands_alone() {
    let given = |flags: &[&str]| {
        let line = [&["update", "--rollback"], flags, &["web"]].concat();
        alone(&Line::try_parse_from(line).unwrap().update)
    };

    given(&[]).unwrap();
    given(&["-d"]).unwrap();
    for more in [&["--env-add", "A=1"][..], &["--force"], &["--replicas", "2"]] {
        let refusal = given(more).unwrap_err().to_string();
        assert!(refusal.contains("--rollback"), "{refusal}");
    }
}

#[test]
fn jobs_and_global_services_have_no_replicas_to_set() {
    let mut spec = fixture::service("web", 1).spec;
    spec.mode = ServiceMode::Global;
    assert!(update(spec, &["--replicas", "2"]).is_err());
}
