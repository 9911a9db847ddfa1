//! Images from a registry, as a user gets and drops them.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use node_test::{Node, until};
use testbed::{Config, Format, Front, Layers, Registry, busybox};

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
    let format = ["image", "ls", "--format", "{{.Repository}}:{{.Tag}} {{.Digest}}"];
    assert_eq!(node.swarm(&format).ok(), format!("{name} {}", image.digest()));

    let removed = node.swarm(&["image", "rm", &name]);
    let gone = node.swarm(&["image", "rm", &name]);

    let lines: Vec<&str> = removed.ok().lines().collect();
    assert_eq!(lines[0], format!("Untagged: {name}"));
    assert!(lines.contains(&format!("Deleted: {}", image.digest()).as_str()), "{removed}");
    assert!(gone.refusal().contains("no image"), "{gone}");
    assert!(node.swarm(&["image", "ls", "-q"]).ok().is_empty());
}

#[test]
fn images_are_called_what_people_call_them() {
    let node = Node::start();
    let archive = node.archive(Format::DockerArchive);

    let loaded = node.swarm(&["image", "load", "-i", &archive]);
    let table = node.swarm(&["image", "ls"]);

    assert_eq!(loaded.ok(), "Loaded image: busybox:test");
    let header = "REPOSITORY   TAG       IMAGE ID       CREATED        SIZE";
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<_> = table.ok().lines().collect();
    assert_eq!(words(lines[0]), words(header));
    assert_eq!(words(lines[1])[..2], ["busybox", "test"]);
    for (shown, named) in [("busybox", true), ("busybox:test", true), ("web", false)] {
        let found = node.swarm(&["image", "ls", "-q", shown]);
        assert_eq!(!found.ok().is_empty(), named, "{found}");
        let filter = format!("reference={shown}");
        assert_eq!(node.swarm(&["image", "ls", "-q", "-f", &filter]).ok(), found.ok());
    }
    assert!(node.swarm(&["image", "ls", "-q", "-f", "dangling=true"]).ok().is_empty());
    assert!(node.swarm(&["image", "ls", "-f", "until=1h"]).refusal().contains("until"));
    let removed = node.swarm(&["image", "rm", "busybox:test", "web:1"]);
    assert_eq!(removed.code, Some(1), "{removed}");
    assert!(removed.stdout.starts_with("Untagged: busybox:test\nDeleted: sha256:"), "{removed}");
    assert!(removed.stderr.contains("no image"), "{removed}");
    let forced = node.swarm(&["image", "rm", "--force", "web:1"]);
    assert!(forced.ok().is_empty() && forced.stderr.contains("no image"), "{forced}");
}

#[test]
fn an_image_in_use_is_kept_for_the_task_that_is_named() {
    let node = Node::ready();
    node.serve("web", &["--network", "host"], &["sleep", "100000"]);
    let row = node.running("web", 1).remove(0);

    let used = node.swarm(&["image", "rm", "busybox:test"]);
    let forced = node.swarm(&["image", "rm", "--force", "busybox:test"]);
    let asked = node.swarm(&["image", "prune", "--all"]);
    let pruned = node.swarm(&["image", "prune", "--all", "--force"]);

    for refused in [&used, &forced] {
        let name = format!("web.1.{}", row.id);
        assert!(refused.refusal().contains(&name), "{name}: {refused}");
    }
    assert!(asked.refusal().contains("--force"), "{asked}");
    assert!(pruned.ok().is_empty(), "{pruned}");
    let format = ["image", "ls", "--format", "{{.Repository}} {{.Containers}}"];
    assert_eq!(node.swarm(&format).ok(), "busybox 1");

    let _ = node.swarm(&["service", "rm", "web"]).ok();
    until("the containers are gone", || match node.containers() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
    let pruned = node.swarm(&["image", "prune", "--all", "--force"]);
    assert!(pruned.ok().starts_with("Untagged: busybox:test"), "{pruned}");
}

#[test]
fn a_registry_that_is_not_there_was_tried_in_both_ways() {
    let node = Node::start();

    let refused = node.swarm(&["image", "pull", "127.0.0.1:1/web:1"]);

    for url in ["https://127.0.0.1:1", "http://127.0.0.1:1"] {
        assert!(refused.refusal().contains(url), "{url}: {refused}");
    }
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
