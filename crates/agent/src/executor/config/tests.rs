use swarm_types::spec::Driver;
use swarm_types::spec::mount::{self, MountKind, VolumeOptions};
use swarm_types::spec::service::Protocol;
use swarm_types::spec::task::{NetworkAttachmentConfig, Placement, TaskRuntime};

use super::*;
use crate::task::samples::task;

fn with_container(change: impl FnOnce(&mut ContainerSpec)) -> Task {
    task(7, |task| {
        if let TaskRuntime::Container(container) = &mut task.runtime {
            change(container);
        }
    })
}

fn on(target: Option<NetworkTarget>, change: impl FnOnce(&mut Task)) -> Task {
    let mut task = task(7, |task| {
        let attached = |target| NetworkAttachmentConfig { target, ..Default::default() };
        task.networks = target.map(attached).into_iter().collect();
    });
    change(&mut task);
    task
}

fn translated(task: &Task) -> ContainerConfig {
    translate(task, &NodeFacts { hostname: "n1".to_owned(), ..NodeFacts::default() }).unwrap()
}

#[test]
fn a_container_is_named_and_labelled_after_its_task() {
    let task = with_container(|container| {
        container.labels.insert("tier".to_owned(), "front".to_owned());
        container.labels.insert("com.docker.swarm.task.id".to_owned(), "forged".to_owned());
        container.stop_grace_period = Duration::from_millis(1500);
    });

    let config = container(&task, &NodeFacts::default()).unwrap();

    assert_eq!(config.id, task.id.to_string());
    assert_eq!(config.name, format!("web.7.{}", task.id));
    assert_eq!(config.labels["com.docker.swarm.task.id"], task.id.to_string());
    assert_eq!(config.labels["com.docker.swarm.service.name"], "web");
    assert_eq!(config.labels["tier"], "front");
    assert_eq!(grace(&config.labels), Duration::from_millis(1500));
    assert_eq!(grace(&BTreeMap::new()), Duration::from_secs(10));
}

#[test]
fn placeholders_are_filled_in() {
    let task = with_container(|container| {
        container.env = vec!["SLOT={{.Task.Slot}}".to_owned(), "{{no}}".to_owned()];
        container.hostname = "{{.Service.Name}}-{{.Node.Hostname}}".to_owned();
        let labels = [("of".to_owned(), "{{.Task.Slot}}".to_owned())].into();
        container.mounts = vec![mount::Mount {
            source: "data-{{.Task.Slot}}".to_owned(),
            target: "/data".to_owned(),
            volume: Some(VolumeOptions { labels, ..VolumeOptions::default() }),
            ..mount::Mount::default()
        }];
    });

    let config = translated(&task);

    assert_eq!(config.env, ["SLOT=7", "{{no}}"]);
    assert_eq!(config.hostname.as_deref(), Some("web-n1"));
    let [swarm_runtime::Mount::Volume { name, labels, .. }] = &config.mounts[..] else {
        panic!("{:?}", config.mounts)
    };
    assert_eq!((name.as_str(), labels["of"].as_str()), ("data-7", "7"));
}

#[test]
fn a_malformed_or_foreign_wish_is_refused_by_name() {
    let refusal = |task: &Task| translate(task, &NodeFacts::default()).unwrap_err().in_full();

    let odd = with_container(|container| container.stop_signal = "SIGSEND".to_owned());
    assert!(refusal(&odd).contains("SIGSEND"));
    let unknown = with_container(|container| container.hostname = "{{.Node.Nme}}".to_owned());
    assert!(refusal(&unknown).contains("Hostname"));
    let pipe = with_container(|container| {
        container.mounts = vec![mount::Mount { kind: MountKind::NamedPipe, ..Default::default() }];
    });
    assert!(refusal(&pipe).contains("Mounts.Type"));
    let syslog = task(1, |task| {
        task.log_driver = Some(Driver { name: "syslog".to_owned(), ..Driver::default() });
    });
    assert!(refusal(&syslog).contains("LogDriver"));
}

#[test]
fn what_only_managers_act_on_is_not_looked_at() {
    let constraints = vec!["node.role==worker".to_owned()];
    let placed = task(1, |task| {
        task.placement = Placement { constraints, ..Placement::default() };
        task.force_update = 3;
    });

    assert!(container(&placed, &NodeFacts::default()).is_ok());
}

#[test]
fn a_task_has_a_network_of_its_own_unless_it_names_the_hosts() {
    let port =
        |published, mode| PortConfig { target: 80, published, mode, ..PortConfig::default() };
    let publish = |task: &mut Task| {
        let template = std::sync::Arc::make_mut(&mut task.template);
        template.endpoint.ports =
            vec![port(8080, PublishMode::Host), port(1, PublishMode::Ingress)];
    };

    let own = on(None, publish);
    let published = HostPort { protocol: Protocol::Tcp, target: 80, published: 8080 };
    let wish = Wish { mode: Mode::Gateway, ports: vec![published] };
    assert_eq!(place(&own).unwrap(), Place::Own(wish));
    assert_eq!(translated(&own).hostname, Some(own.id.to_string()[..12].to_owned()));

    let chosen = Attached {
        netns: "/n".into(),
        address: None,
        gateway: None,
        ports: vec![HostPort { published: 30_000, ..published }],
    };
    assert_eq!(bound(&own, Some(&chosen))[0].published, 30_000);

    let host = on(Some(NetworkTarget::Host), publish);
    assert_eq!(place(&host).unwrap(), Place::Host);
    assert_eq!((translated(&host).hostname, bound(&host, None).len()), (None, 1));

    let none = on(Some(NetworkTarget::None), publish);
    let wish = Wish { mode: Mode::None, ports: Vec::new() };
    assert_eq!(place(&none).unwrap(), Place::Own(wish));

    let between =
        on(Some(NetworkTarget::Network(swarm_types::IdSource::seeded(1).draw())), publish);
    assert!(place(&between).unwrap_err().in_full().contains("Networks"));
}

#[test]
fn every_option_of_a_task_reaches_its_container() {
    let text = |text: &str| text.to_owned();
    let mut task = with_container(|it| {
        it.init = Some(true);
        it.tty = true;
        it.open_stdin = true;
        it.read_only = true;
        it.groups = vec![text("video")];
        it.capability_add = vec![text("CAP_NET_ADMIN")];
        it.capability_drop = vec![text("CAP_CHOWN")];
        it.sysctls = [(text("net.core.somaxconn"), text("5"))].into();
        it.ulimits = vec![container::Ulimit { name: text("nofile"), soft: 1, hard: 2 }];
        it.oom_score_adj = -5;
        it.privileges.no_new_privileges = true;
        it.privileges.seccomp = Some(container::Seccomp::Unconfined);
        it.privileges.apparmor_enabled = Some(false);
    });
    let template = std::sync::Arc::make_mut(&mut task.template);
    template.spec.resources.swap_bytes = Some(-1);
    template.spec.resources.memory_swappiness = Some(-1);
    template.spec.log_driver = Some(Driver { name: text("local"), ..Driver::default() });

    let config = translated(&task);

    assert!(config.init && config.tty && config.open_stdin && config.read_only);
    assert_eq!((config.groups.len(), config.sysctls.len(), config.ulimits.len()), (1, 1, 1));
    assert_eq!(config.capability_add, ["CAP_NET_ADMIN"]);
    assert_eq!(config.capability_drop, ["CAP_CHOWN"]);
    assert_eq!((config.resources.oom_score_adj, config.resources.swap_bytes), (-5, Some(-1)));
    assert_eq!(config.resources.swappiness, None);
    assert_eq!((config.privileges, config.seccomp), (Privileges::NoNew, Seccomp::Unconfined));
    assert_eq!(config.apparmor, AppArmor::Unconfined);
    assert_eq!(config.log, Log::Files { max_bytes: 20_000_000, max_files: 5 });
}
