use std::time::Duration;

use clap::Parser;
use swarm_types::spec::container::{ContainerSpec, CredentialSpec};
use swarm_types::spec::service::{EndpointMode, FailureAction, UpdateOrder};
use swarm_types::spec::task::{NetworkTarget, RestartCondition};

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    create: Create,
}

fn parse(line: &[&str]) -> anyhow::Result<ServiceSpec> {
    spec(Line::try_parse_from([&["create"], line].concat())?.create)
}

fn made(flags: &[&str]) -> ServiceSpec {
    parse(&[flags, &["web:1"]].concat()).unwrap_or_else(|error| panic!("{flags:?}: {error}"))
}

#[test]
fn flags_after_the_image_belong_to_the_command() {
    let spec = parse(&["--replicas", "3", "web:1", "sh", "-c", "--replicas"]).unwrap();

    assert_eq!(spec.mode, ServiceMode::Replicated { replicas: 3 });
    let container = spec.task.container().unwrap();
    assert_eq!((container.image.as_str(), container.args.len()), ("web:1", 3));
}

/// One row per flag of the container: what it must have changed.
#[test]
fn every_container_flag_fills_its_field() {
    type Row = (&'static [&'static str], fn(&ContainerSpec) -> bool);
    let rows: &[Row] = &[
        (&["--container-label", "a=b"], |it| it.labels["a"] == "b"),
        (&["-e", "A=1", "-e", "B=2", "--env", "A=3"], |it| it.env == ["B=2", "A=3"]),
        (&["-e", "SURELY_NOT_SET_HERE"], |it| it.env == ["SURELY_NOT_SET_HERE"]),
        (&["-w", "/d"], |it| it.dir == "/d"),
        (&["-u", "1:2"], |it| it.user == "1:2"),
        (&["--group", "g"], |it| it.groups == ["g"]),
        (&["--hostname", "{{.Node.Hostname}}"], |it| it.hostname == "{{.Node.Hostname}}"),
        (&["--entrypoint", "sh -c 'a b'"], |it| it.command == ["sh", "-c", "a b"]),
        (&["-t"], |it| it.tty),
        (&["--tty=false"], |it| !it.tty),
        (&["--read-only"], |it| it.read_only),
        (&["--init"], |it| it.init == Some(true)),
        (&["--stop-signal", "SIGHUP"], |it| it.stop_signal == "SIGHUP"),
        (&["--stop-grace-period", "5s"], |it| it.stop_grace_period == Duration::from_secs(5)),
        (&["--mount", "type=tmpfs,target=/t"], |it| it.mounts[0].target == "/t"),
        (&["--host", "db:10.0.0.1"], |it| it.hosts == ["10.0.0.1 db"]),
        (&["--dns", "1.1.1.1"], |it| it.dns.nameservers == ["1.1.1.1"]),
        (&["--dns-option", "ndots:2"], |it| it.dns.options == ["ndots:2"]),
        (&["--dns-search", "x.org"], |it| it.dns.search == ["x.org"]),
        (&["--sysctl", "net.a=1"], |it| it.sysctls["net.a"] == "1"),
        (&["--ulimit", "nofile=1:2"], |it| it.ulimits[0].hard == 2),
        (&["--cap-add", "net_admin", "--cap-drop", "all"], |it| {
            it.capability_add == ["CAP_NET_ADMIN"] && it.capability_drop == ["ALL"]
        }),
        (&["--cap-add", "x", "--cap-drop", "x"], |it| it.capability_drop.is_empty()),
        (&["--oom-score-adj", "-5"], |it| it.oom_score_adj == -5),
        (&["--health-cmd", "true", "--health-retries", "2"], |it| {
            let check = it.healthcheck.as_ref().unwrap();
            check.test == ["CMD-SHELL", "true"] && check.retries == 2
        }),
        (&["--health-interval", "1s", "--health-start-interval", "2s"], |it| {
            it.healthcheck.as_ref().unwrap().interval == Duration::from_secs(1)
        }),
        (&["--no-healthcheck"], |it| it.healthcheck.as_ref().unwrap().test == ["NONE"]),
        (&["--credential-spec", "file://x"], |it| {
            it.privileges.credential_spec == Some(CredentialSpec::File("x".into()))
        }),
    ];
    for (flags, holds) in rows {
        let spec = made(flags);
        assert!(holds(spec.task.container().unwrap()), "{flags:?}");
    }
}

/// One row per flag of the service and its tasks.
#[test]
fn every_service_flag_fills_its_field() {
    type Row = (&'static [&'static str], fn(&ServiceSpec) -> bool);
    let rows: &[Row] = &[
        (&["--name", "web"], |it| it.annotations.name == "web"),
        (&["-l", "a", "--label", "b=c"], |it| it.annotations.labels.len() == 2),
        (&["--mode", "global"], |it| it.mode == ServiceMode::Global),
        (&["--mode", "replicated-job", "--replicas", "5", "--max-concurrent", "2"], |it| {
            it.mode == ServiceMode::ReplicatedJob { max_concurrent: 2, total_completions: 5 }
        }),
        (&["--replicas-max-per-node", "2"], |it| it.task.placement.max_replicas == 2),
        (&["--publish", "8080:80", "-p", "target=53,mode=host,protocol=udp"], |it| {
            it.endpoint.ports.len() == 2
        }),
        (&["--endpoint-mode", "DNSRR"], |it| it.endpoint.mode == EndpointMode::DnsRr),
        (&["--network", "host"], |it| it.task.networks[0].target == NetworkTarget::Host),
        (&["--network", "bridge"], |it| it.task.networks.is_empty()),
        (&["--limit-cpu", "1.5"], |it| it.task.resources.limits.nano_cpus == 1_500_000_000),
        (&["--limit-memory", "64M"], |it| it.task.resources.limits.memory_bytes == 64 << 20),
        (&["--limit-pids", "9"], |it| it.task.resources.limits.pids == 9),
        (&["--reserve-cpu", "1/4"], |it| it.task.resources.reservations.nano_cpus == 250_000_000),
        (&["--reserve-memory", "1k"], |it| it.task.resources.reservations.memory_bytes == 1024),
        (&["--memory-swap", "-1", "--limit-memory", "1m"], |it| {
            it.task.resources.swap_bytes == Some(-1)
        }),
        (&["--memory-swappiness", "10"], |it| it.task.resources.memory_swappiness == Some(10)),
        (&["--generic-resource", "gpu=2"], |it| it.task.resources.reservations.generic.len() == 1),
        (&["--constraint", "node.role==manager"], |it| it.task.placement.constraints.len() == 1),
        (&["--placement-pref", "spread=node.labels.a"], |it| {
            it.task.placement.preferences.len() == 1
        }),
        (&["--restart-condition", "none"], |it| {
            it.task.restart.condition == RestartCondition::None
        }),
        (&["--restart-delay", "1s"], |it| it.task.restart.delay == Duration::from_secs(1)),
        (&["--restart-max-attempts", "3"], |it| it.task.restart.max_attempts == 3),
        (&["--restart-window", "1m"], |it| it.task.restart.window == Duration::from_secs(60)),
        (&["--update-parallelism", "0"], |it| it.update.as_ref().unwrap().parallelism == 0),
        (&["--update-failure-action", "rollback", "--update-order", "start-first"], |it| {
            let update = it.update.as_ref().unwrap();
            (update.failure_action, update.order)
                == (FailureAction::Rollback, UpdateOrder::StartFirst)
        }),
        (&["--rollback-max-failure-ratio", "0.25", "--rollback-monitor", "1s"], |it| {
            it.rollback.as_ref().unwrap().max_failure_millionths == 250_000 && it.update.is_none()
        }),
        (&["--log-driver", "local", "--log-opt", "max-size=1m"], |it| {
            it.task.log_driver.as_ref().unwrap().options["max-size"] == "1m"
        }),
        (&["--log-opt", "max-size=1m"], |it| it.task.log_driver.is_none()),
    ];
    for (flags, holds) in rows {
        assert!(holds(&made(flags)), "{flags:?}");
    }
}

/// A value of another form is refused by the flag's name.
#[test]
fn malformed_values_are_refused_with_the_flag() {
    for (flag, value) in [
        ("--replicas", "-1"),
        ("--replicas", "x"),
        ("--mode", "many"),
        ("--label", "=x"),
        ("--container-label", "=x"),
        ("--env", "=x"),
        ("--limit-memory", "lots"),
        ("--limit-cpu", "0.00000000001"),
        ("--limit-pids", "-1"),
        ("--reserve-cpu", "x"),
        ("--reserve-memory", "-1"),
        ("--memory-swap", "-2"),
        ("--memory-swappiness", "101"),
        ("--oom-score-adj", "1001"),
        ("--stop-grace-period", "10"),
        ("--restart-condition", "always"),
        ("--restart-delay", "-1s"),
        ("--restart-max-attempts", "-1"),
        ("--restart-window", "soon"),
        ("--entrypoint", "sh 'open"),
        ("--mount", "type=bind,source=/a"),
        ("--publish", "1.2.3.4:80:80"),
        ("--host", "db"),
        ("--dns", "x"),
        ("--dns-search", "a b"),
        ("--sysctl", "a"),
        ("--ulimit", "nofile"),
        ("--generic-resource", "gpu=a"),
        ("--placement-pref", "pack=a"),
        ("--update-order", "random"),
        ("--update-delay", "x"),
        ("--update-parallelism", "-1"),
        ("--update-max-failure-ratio", "2"),
        ("--update-failure-action", "panic"),
        ("--rollback-failure-action", "rollback"),
        ("--endpoint-mode", "any"),
        ("--health-interval", "x"),
        ("--health-retries", "-1"),
        ("--log-opt", "x"),
        ("--isolation", "full"),
        ("--credential-spec", "x"),
        ("--init=", "maybe"),
    ] {
        let typed = if flag.ends_with('=') {
            vec![format!("{flag}{value}")]
        } else {
            vec![flag.into(), value.into()]
        };
        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
        let refusal = parse(&[&typed[..], &["web"]].concat()).unwrap_err().to_string();
        assert!(refusal.contains(flag.trim_end_matches('=')), "{flag} {value}: {refusal}");
    }
}

#[test]
fn flags_that_exclude_each_other_are_refused() {
    for (flags, part) in [
        (&["--mode", "global", "--replicas", "2"][..], "--replicas"),
        (&["--max-concurrent", "2"], "--max-concurrent"),
        (&["--mode", "global-job", "--update-delay", "1s"], "jobs"),
        (&["--memory-swap", "1g"], "--limit-memory"),
        (&["--no-healthcheck", "--health-cmd", "x"], "--no-healthcheck"),
        (&["--generic-resource", "gpu=1", "--generic-resource", "gpu=2"], "twice"),
    ] {
        let refusal = parse(&[flags, &["web"]].concat()).unwrap_err().to_string();
        assert!(refusal.contains(part), "{flags:?}: {refusal}");
    }
}

#[test]
fn features_of_later_versions_are_refused_by_name() {
    for (flag, value) in [
        ("--secret", "x"),
        ("--config", "x"),
        ("--network", "backend"),
        ("--network", "name=backend,alias=a"),
        ("--credential-spec", "config://x"),
    ] {
        let refusal = parse(&[flag, value, "web"]).unwrap_err().to_string();
        assert!(refusal.contains(flag) && refusal.contains("not supported yet"), "{refusal}");
    }
}
