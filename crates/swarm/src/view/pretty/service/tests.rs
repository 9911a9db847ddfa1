use std::time::Duration;

use swarm_types::spec::container::Ulimit;
use swarm_types::spec::mount::{Mount, MountKind};
use swarm_types::spec::service::ServiceSpec;
use swarm_types::spec::task::{NetworkAttachmentConfig, TaskRuntime};

use super::*;
use crate::view::fixture;

/// Everything that has a section.
fn full() -> Service {
    let mut web = fixture::service("web", 1);
    web.endpoint.ports.clear();
    let ServiceSpec { annotations, task, endpoint, update, .. } = &mut web.spec;
    annotations.labels = [("a".to_owned(), "b".to_owned()), ("c".to_owned(), String::new())].into();
    endpoint.ports = fixture::host_ports();
    *update = Some(UpdateConfig { delay: Duration::from_secs(1), ..UpdateConfig::default() });
    task.placement.constraints = vec!["node.role==manager".into(), "node.id!=x".into()];
    let descriptor = "node.labels.a".to_owned();
    task.placement.preferences = vec![PlacementPreference::Spread { descriptor }];
    task.placement.max_replicas = 2;
    task.networks = vec![NetworkAttachmentConfig::default()];
    task.resources.reservations.nano_cpus = 500_000_000;
    task.resources.reservations.memory_bytes = 32 << 20;
    task.resources.limits = Limits { nano_cpus: 1_500_000_000, memory_bytes: 64 << 20, pids: 10 };
    let options = [("max-size".to_owned(), "1m".to_owned())].into();
    task.log_driver = Some(Driver { name: "json-file".to_owned(), options });
    if let TaskRuntime::Container(it) = &mut task.runtime {
        it.args = vec!["x".into(), "y".into()];
        it.env = vec!["A=1".into(), "B=2".into()];
        it.dir = "/d".into();
        it.init = Some(true);
        it.user = "me".into();
        it.capability_add = vec!["CAP_X".into()];
        it.capability_drop = vec!["CAP_Y".into(), "CAP_Z".into()];
        it.sysctls = [("k".to_owned(), "v".to_owned())].into();
        it.ulimits = vec![Ulimit { name: "nofile".into(), soft: 1, hard: 2 }];
        let (source, target) = ("/s".to_owned(), "/t".to_owned());
        let kind = MountKind::Bind;
        it.mounts = vec![Mount { kind, source, target, read_only: true, ..Mount::default() }];
        it.healthcheck = Some(HealthConfig {
            test: vec!["CMD-SHELL".into(), "true x".into()],
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            retries: 3,
            start_period: Duration::from_secs(1),
            ..HealthConfig::default()
        });
    }
    web.update_status = Some(UpdateStatus {
        state: UpdateState::Completed,
        started_at: Some(fixture::at(0)),
        completed_at: Some(fixture::at(60)),
        message: "update completed".to_owned(),
    });
    web
}

/// Docker 28's output for such a service, without the blanks at the ends of its lines.
const FULL: &str = "\
ID:\t\tWEB
Name:\t\tweb
Labels:
 a=b
 c
Service Mode:\tReplicated
 Replicas:\t1
UpdateStatus:
 State:\t\tcompleted
 Started:\t22 minutes ago
 Completed:\t21 minutes ago
 Message:\tupdate completed
Placement:
 Constraints:\t[node.role==manager node.id!=x]
 Preferences:   [spread=node.labels.a]
 Max Replicas Per Node:   2
UpdateConfig:
 Parallelism:\t1
 Delay:\t\t1s
 On failure:\tpause
 Monitoring Period: 5s
 Max failure ratio: 0
 Update order:      stop-first
RollbackConfig:
 Parallelism:\t1
 On failure:\tpause
 Monitoring Period: 5s
 Max failure ratio: 0
 Rollback order:    stop-first
ContainerSpec:
 Image:\t\tdocker.io/library/web:1
 Args:\t\tx y
 Env:\t\tA=1 B=2
 Dir:\t\t/d
 Init:\t\ttrue
 User: me
Capabilities:
 Add: CAP_X
 Drop: CAP_Y, CAP_Z
SysCtls:
 k: v
Ulimits:
 nofile: 1:2
Mounts:
 Target:\t/t
  Source:\t/s
  ReadOnly:\ttrue
  Type:\t\tbind
Log Driver:
 Name:\t\tjson-file
 LogOpts:
  max-size:       1m

Resources:
 Reservations:
  CPU:\t\t0.5
  Memory:\t32MiB
 Limits:
  CPU:\t\t1.5
  Memory:\t64MiB
  PIDs:\t\t10
Networks: host
Endpoint Mode:\tvip
Ports:
 PublishedPort = 8080
  Protocol = tcp
  TargetPort = 80
  PublishMode = host
 Healthcheck:
  Interval = 30s
  Retries = 3
  StartPeriod =\t1s
  Timeout =\t5s
  Tests:
\t Test = CMD-SHELL
\t Test = true x";

#[test]
fn a_service_is_laid_out_as_docker_does() {
    let web = full();
    let expected = FULL.replace("WEB", web.id.as_str());
    assert_eq!(service(&web, fixture::at(22 * 60)), expected);
}

#[test]
fn an_update_that_is_not_done_has_no_end() {
    let mut web = full();
    if let Some(status) = &mut web.update_status {
        status.state = UpdateState::Paused;
    }
    assert!(!service(&web, fixture::at(0)).contains("Completed:"));
}
