use super::*;
use crate::container::Seccomp;

pub(super) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(String::from).collect()
}

pub(super) fn image() -> ImageConfig {
    ImageConfig {
        entrypoint: words("entry"),
        cmd: words("cmd"),
        env: words("PATH=/bin A=1 B=2"),
        working_dir: "/srv".into(),
        ..ImageConfig::default()
    }
}

/// Calls `act` with the parts of a root container.
pub(super) fn with_parts<T>(
    config: &ContainerConfig,
    image: &ImageConfig,
    mounts: &[Planned],
    host: &Host,
    act: impl FnOnce(&Parts<'_>) -> T,
) -> T {
    let (cgroup, init) = (Path::new("/swarm/x"), Path::new("/nowhere/tini-static"));
    let identity = &Identity::default();
    act(&Parts { config, image, identity, cgroup, init, mounts, host })
}

fn built(config: &ContainerConfig, uid: u32) -> serde_json::Value {
    let identity = Identity { uid, ..Identity::default() };
    let host = Host { kernel: (6, 1), last_capability: 40, ..Host::default() };
    let spec = with_parts(config, &image(), &[], &host, |parts| {
        build(&Parts { identity: &identity, ..*parts }).unwrap()
    });
    serde_json::to_value(&spec).unwrap()
}

#[test]
fn root_alone_holds_capabilities_and_nobody_all_of_them() {
    let config = ContainerConfig::default();
    let held = |spec: &serde_json::Value, set: &str| {
        spec["process"]["capabilities"][set].as_array().map_or(0, Vec::len)
    };

    let (root, user) = (built(&config, 0), built(&config, 1000));

    assert_eq!(held(&root, "effective"), 14);
    assert_eq!(held(&user, "effective"), 0);
    assert_eq!(held(&user, "bounding"), 14);
    assert_eq!(root["linux"]["cgroupsPath"], "/swarm/x");
    assert_eq!(root["process"]["cwd"], "/srv");
    assert_eq!(root["process"]["oomScoreAdj"], 0);
    assert_eq!(root["process"]["noNewPrivileges"], false);
    assert_eq!(root["root"]["readonly"], false);
    assert!(root["linux"]["seccomp"]["syscalls"].is_array());
}

#[test]
fn a_network_namespace_is_joined_by_its_path() {
    let config = ContainerConfig {
        network: Network::Netns("/run/netns/sw-1".into()),
        hostname: Some("h".into()),
        seccomp: Seccomp::Unconfined,
        read_only: true,
        ..ContainerConfig::default()
    };

    let spec = built(&config, 0);

    let namespaces = spec["linux"]["namespaces"].as_array().unwrap();
    let joined = serde_json::json!({"type": "network", "path": "/run/netns/sw-1"});
    assert!(namespaces.contains(&joined), "{namespaces:?}");
    assert!(namespaces.contains(&serde_json::json!({"type": "uts"})));
    assert_eq!(spec["hostname"], "h");
    assert_eq!(spec["root"]["readonly"], true);
    assert_eq!(spec["linux"]["seccomp"], serde_json::Value::Null);
}
