//! Real applications, from images of their Debian packages.

use mkimage::{App, Layers};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use node_test::{Node, Process, until};

/// A founded node with that application's image as `app:1`.
fn node(app: App) -> Node {
    let node = Node::founded();
    node.load(&app.image("app:1", Layers::Plain).unwrap());
    node
}

/// The page at a port of the node, once it is served.
#[track_caller]
fn page(node: &Node, port: u16, path: &str) -> String {
    until("the page is served", || match node.page(port, path) {
        Ok(page) if page.contains(" 200 ") => Ok(page),
        other => Err(format!("{other:?}")),
    })
}

fn process(node: &Node, service: &str) -> Process {
    node.process(&node.running(service, 1)[0].id)
}

#[test]
fn redis_keeps_its_data() {
    let node = node(App::Redis);
    let flags = ["--mount", "type=volume,source=data,target=/data", "--update-monitor", "100ms"];
    let health = ["--health-interval", "200ms", "--health-start-interval", "200ms"];
    node.serve_image("db", &[&flags[..], &health].concat(), "app:1", &[]);
    let first = process(&node, "db");
    let cli = |words: &[&str]| {
        let line = [&["exec", "db.1", "redis-cli"], words].concat();
        node.swarm(&line).ok().to_owned()
    };
    let fsync = ["CONFIG", "SET", "appendfsync", "always"];
    assert_eq!(cli(&fsync), "OK");

    assert_eq!(cli(&["SET", "a", "1"]), "OK");
    first.kill();
    let _ =
        node.history_when("the task is replaced", "db", |rows| rows.len() == 2 && rows[0].runs());
    assert_eq!(cli(&["GET", "a"]), "1");

    assert_eq!(cli(&["SET", "b", "2"]), "OK");
    node.update("db", &["--env-add", "B=2"]);
    let _ =
        node.history_when("the task is updated", "db", |rows| rows.len() == 3 && rows[0].runs());
    assert_eq!(cli(&["MGET", "a", "b"]), "1\n2");

    assert_eq!(cli(&["SET", "c", "3"]), "OK");
    let before = process(&node, "db");
    node.kill_daemon();
    node.start_daemon();
    assert_eq!(process(&node, "db"), before);
    assert_eq!(cli(&["MGET", "a", "b", "c"]), "1\n2\n3");
}

#[test]
fn nginx_serves_and_reloads() {
    let node = node(App::Nginx);
    let flags = ["--publish", "mode=host,target=80,published=8080"];
    let health = ["--health-interval", "200ms", "--health-start-interval", "200ms"];
    node.serve_image("web", &[&flags[..], &health].concat(), "app:1", &[]);
    let row = node.running("web", 1)[0].clone();
    assert!(page(&node, 8080, "/").ends_with("it works\n"));

    let edit = "sed -i 's/\"well\"/\"better\"/' /etc/nginx/nginx.conf";
    assert_eq!(node.inside("web.1", edit).code, Some(0));
    let master = node.process(&row.id);
    kill(Pid::from_raw(master.0), Signal::SIGHUP).unwrap();

    until("the new settings hold", || match page(&node, 8080, "/health") {
        page if page.ends_with("better") => Ok(()),
        page => Err(page),
    });
    assert_eq!(node.process(&row.id), master, "a reload is no restart");
    let logs = node.swarm(&["service", "logs", "--raw", "web"]);
    assert!(logs.ok().contains("\"GET / HTTP/1.0\" 200"), "{logs}");
    // It ends by its own signal, in order.
    assert_eq!(node.swarm(&["service", "scale", "-d", "web=0"]).code, Some(0));
    until("it has ended", || if master.lives() { Err("it lives".to_owned()) } else { Ok(()) });
}

#[test]
fn python_serves_and_its_requests_are_logged() {
    let node = node(App::Python);
    let flags = ["--publish", "mode=host,target=8000,published=8000"];
    node.serve_image("web", &[&flags[..], &["--no-healthcheck"]].concat(), "app:1", &[]);
    let row = node.running("web", 1)[0].clone();
    assert!(page(&node, 8000, "/").ends_with("it works\n"));

    until("the request is in the log", || {
        let logs = node.swarm(&["service", "logs", "--raw", "web"]);
        if logs.stderr.contains("\"GET / HTTP/1.0\" 200") { Ok(()) } else { Err(logs.to_string()) }
    });
    assert_eq!(node.process(&row.id).user().0, "65534");
}
