//! Images from a registry, as a user gets and drops them.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use node_test::Node;
use testbed::{Config, Front, Layers, Registry, busybox};

#[test]
fn an_image_is_pulled_with_the_login_of_docker_and_removed() {
    let node = Node::start();
    let dir = node.dir().join("registry");
    std::fs::create_dir(&dir).unwrap();
    let login = Front { login: Some(("ann".into(), "pw".into())), ..Front::default() };
    let image = busybox("web:1", &Config::default(), Layers::Gzip);
    let (strict, _open) = node.netns().run(|| {
        let open = Registry::start(&dir, &Front::default());
        image.push(&open.host(), "web", "1").unwrap();
        (Registry::start(&dir, &login), open)
    });
    let name = format!("{}/web:1", strict.host());

    let denied = node.swarm(&["image", "pull", &name]);
    let config = format!(r#"{{"auths":{{"{}":{{"auth":"YW5uOnB3"}}}}}}"#, strict.host());
    std::fs::create_dir(node.dir().join("docker")).unwrap();
    std::fs::write(node.dir().join("docker/config.json"), config).unwrap();
    let pulled = node.swarm(&["image", "pull", &name]);
    let again = node.swarm(&["image", "pull", &name]);
    let unknown = node.swarm(&["image", "pull", &format!("{}/web:2", strict.host())]);

    assert!(denied.refusal().contains("log in first"), "{denied}");
    assert_eq!(pulled.ok(), name);
    for word in ["Downloading", "Download complete", "Pull complete", &image.digest()] {
        assert!(pulled.stderr.contains(word), "{word}: {pulled}");
    }
    assert!(again.ok() == name && again.stderr.contains("Already exists"), "{again}");
    assert!(unknown.refusal().contains("has no web/manifests/2"), "{unknown}");
    assert!(node.swarm(&["image", "ls"]).ok().contains(&name));

    let removed = node.swarm(&["image", "rm", &name]);
    let gone = node.swarm(&["image", "rm", &name]);

    let lines: Vec<&str> = removed.ok().lines().collect();
    assert_eq!(lines[0], format!("Untagged: {name}"));
    assert!(lines.contains(&format!("Deleted: {}", image.digest()).as_str()), "{removed}");
    assert!(gone.refusal().contains("no image"), "{gone}");
    assert!(node.swarm(&["image", "ls", "-q"]).ok().is_empty());
}

#[test]
fn a_credential_helper_is_asked_for_the_login() {
    let node = Node::start();
    let dir = node.dir().join("registry");
    std::fs::create_dir(&dir).unwrap();
    let login = Front { login: Some(("ann".into(), "pw".into())), ..Front::default() };
    let image = busybox("web:1", &Config::default(), Layers::Gzip);
    let (strict, _open) = node.netns().run(|| {
        let open = Registry::start(&dir, &Front::default());
        image.push(&open.host(), "web", "1").unwrap();
        (Registry::start(&dir, &login), open)
    });
    let name = format!("{}/web:1", strict.host());
    let docker = node.dir().join("docker");
    std::fs::create_dir(&docker).unwrap();
    let config = format!(r#"{{"credHelpers":{{"{}":"of-test"}}}}"#, strict.host());
    std::fs::write(docker.join("config.json"), config).unwrap();
    let helper = docker.join("docker-credential-of-test");
    let script = "#!/bin/sh\ncat > asked\necho '{\"Username\":\"ann\",\"Secret\":\"pw\"}'\n";
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();

    let mut command = Command::new(node.daemon_command().get_program());
    command.args(["image", "pull", &name]).env("SWARM_SOCKET", node.socket());
    command.env("DOCKER_CONFIG", &docker).current_dir(&docker);
    command.env("PATH", format!("{}:/usr/bin:/bin", docker.display()));
    let pulled = node.run_daemon(command);

    assert_eq!(pulled.ok(), name);
    assert_eq!(std::fs::read_to_string(docker.join("asked")).unwrap(), strict.host());
}
