//! What a container gets of its service's flags, as seen from inside by `swarm exec`.

use std::fs;

use node_test::{Node, until};

const SLEEP: [&str; 2] = ["sleep", "100000"];

#[test]
fn files_names_and_variables_are_there() {
    let node = Node::ready();
    let shared = node.dir().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("word"), "shared\n").unwrap();
    let bind = format!("type=bind,source={},target=/bound,readonly", shared.display());
    let flags = [
        &["--env", "A=1", "--env", "WHO={{.Service.Name}}.{{.Task.Slot}}"][..],
        &["--hostname", "{{.Service.Name}}-{{.Task.Slot}}", "--read-only"],
        &["--mount", "type=volume,source=data,target=/data,volume-label=of=web"],
        &["--mount", &bind, "--mount", "type=tmpfs,target=/scratch,tmpfs-size=1m,tmpfs-mode=700"],
        &["--host", "db:10.1.2.3", "--dns", "10.9.9.9", "--dns-search", "example.org"],
        &["--workdir", "/scratch"],
    ];
    node.serve("web", &flags.concat(), &SLEEP);
    let _ = node.running("web", 1);
    let inside = |script: &str| node.inside("web.1", script).ok().to_owned();

    assert_eq!(inside("echo $A $WHO; hostname; pwd"), "1 web.1\nweb-1\n/scratch");
    assert_eq!(inside("cat /etc/hostname; grep -w db /etc/hosts"), "web-1\n10.1.2.3\tdb");
    assert!(inside("grep web-1 /etc/hosts").starts_with("172."), "its own address");
    assert_eq!(inside("cat /etc/resolv.conf"), "nameserver 10.9.9.9\nsearch example.org");
    assert_eq!(inside("cat /bound/word"), "shared");
    assert_eq!(
        inside("df -k /scratch | tail -n 1 | awk '{print $2}'; stat -c %a /scratch"),
        "1024\n700"
    );
    for closed in ["touch /x", "touch /bound/x"] {
        let refused = node.inside("web.1", closed);
        assert_ne!(refused.code, Some(0), "{refused}");
        assert!(refused.stderr.contains("Read-only file system"), "{refused}");
    }
    assert_eq!(inside("echo kept > /data/x; cat /data/x"), "kept");
    let volume = node.swarm(&["volume", "inspect", "data"]);
    let volume: serde_json::Value = serde_json::from_str(volume.ok()).unwrap();
    assert_eq!(volume[0]["Labels"]["of"], "web", "{volume}");
    let held = std::path::Path::new(volume[0]["Mountpoint"].as_str().unwrap()).join("x");
    assert_eq!(fs::read_to_string(held).unwrap(), "kept\n");
    assert!(node.swarm(&["volume", "rm", "data"]).refusal().contains("in use"));
}

#[test]
fn rights_and_limits_are_set() {
    let node = Node::ready();
    let flags = [
        &["--user", "nobody:nogroup", "--group", "77", "--limit-memory", "64M"][..],
        &["--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE", "--limit-pids", "40"],
        &["--sysctl", "net.ipv4.ip_unprivileged_port_start=80", "--ulimit", "nofile=100:200"],
        &["--oom-score-adj", "300"],
    ];
    node.serve("web", &flags.concat(), &SLEEP);
    let row = &node.running("web", 1)[0];
    let inside = |script: &str| node.inside("web.1", script).ok().to_owned();

    assert_eq!(inside("id -u; id -g; id -G"), "65534\n65534\n65534 77");
    assert_eq!(inside("grep CapBnd /proc/1/status | cut -f 2"), "0000000000000400");
    assert_eq!(inside("cat /proc/sys/net/ipv4/ip_unprivileged_port_start"), "80");
    assert_eq!(inside("grep 'open files' /proc/1/limits | awk '{print $4, $5}'"), "100 200");
    assert_eq!(inside("cat /proc/1/oom_score_adj"), "300");
    assert_eq!(inside("grep Seccomp: /proc/1/status | cut -f 2"), "2");
    let memory = node.process(&row.id).limit(&["memory.max", "memory.limit_in_bytes"]);
    assert_eq!(memory.as_deref().map(str::trim), Some("67108864"));
    let stats =
        node.swarm(&["--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", "stats", "--no-stream"]);
    assert!(stats.ok().starts_with("web.1.") && stats.ok().contains("/ 64MiB"), "{stats}");
}

/// An init process is the host's; without one the task says what to install.
#[test]
fn an_init_is_the_first_process_or_its_lack_is_told() {
    let node = Node::ready();
    node.serve("web", &["--init", "--restart-condition", "none"], &SLEEP);

    let row = until("the task runs or is rejected", || {
        let rows = node.history("web");
        let last = rows.iter().find(|row| row.runs() || row.current == "Rejected").cloned();
        last.ok_or_else(|| format!("{rows:?}"))
    });

    if row.runs() {
        let first = node.inside("web.1", "cat /proc/1/cmdline | tr '\\0' ' '");
        assert!(first.ok().contains("init"), "{first}");
    } else {
        assert!(row.error.contains("install the package tini"), "{row:?}");
    }
}

const SERVER: [&str; 3] =
    ["sh", "-c", "mkdir /www; echo well > /www/index.html; exec httpd -f -p 8080 -h /www"];

/// `*:18080->8080/tcp,*:40000->8081/tcp` as pairs.
fn ports(node: &Node, service: &str) -> Vec<(u16, u16)> {
    let ran = node.swarm(&[
        "--format",
        "{{.Ports}}",
        "service",
        "ps",
        "-f",
        "desired-state=running",
        service,
    ]);
    let pair = |text: &str| {
        let (outside, inside) = text.trim_start_matches("*:").split_once("->").unwrap();
        (outside.parse().unwrap(), inside.trim_end_matches("/tcp").parse().unwrap())
    };
    ran.ok().split(',').filter(|text| !text.is_empty()).map(pair).collect()
}

#[test]
fn ports_of_the_host_lead_to_the_task() {
    let node = Node::ready();
    let fixed = ["--publish", "mode=host,target=8080,published=18080"];
    node.serve(
        "web",
        &[&fixed[..], &["--publish", "mode=host,target=8080,protocol=tcp,published=0"]].concat(),
        &SERVER,
    );
    let _ = node.running("web", 1);

    let ports = ports(&node, "web");

    let [(18080, 8080), (chosen, 8080)] = ports[..] else { panic!("{ports:?}") };
    assert_ne!(chosen, 0);
    for port in [18080, chosen] {
        let page =
            until("the page is served", || node.page(port, "/").map_err(|it| it.to_string()));
        assert!(page.contains("200 OK") && page.ends_with("well\n"), "{page}");
    }
    // Nobody else gets a port that is taken.
    node.serve("next", &fixed, &SERVER);
    let waiting = node.history_when("the second waits", "next", |rows| {
        rows.first().is_some_and(|row| row.current == "Pending" && !row.error.is_empty())
    });
    assert!(waiting[0].error.contains("port"), "{waiting:?}");
    let _ = node.swarm(&["service", "rm", "web"]).ok();
    let _ = node.running("next", 1);
    let _ = until("the page is served", || node.page(18080, "/").map_err(|it| it.to_string()));
}

/// A task that ended is kept for its history, its ports are not.
#[test]
fn a_fixed_port_passes_to_the_task_that_follows() {
    let node = Node::ready();
    node.serve("web", &["--publish", "mode=host,target=8080,published=18080"], &SERVER);
    let first = node.running("web", 1);

    node.process(&first[0].id).kill();
    let killed =
        node.history_when("the slot runs again", "web", |rows| rows.len() == 2 && rows[0].runs());
    assert_eq!(killed[1].id, first[0].id);
    node.update("web", &["--env-add", "B=2"]);
    let updated =
        node.history_when("the update is through", "web", |rows| rows.len() == 3 && rows[0].runs());

    assert!(updated.iter().all(|row| row.current != "Rejected"), "{updated:#?}");
    let page = until("the page is served", || node.page(18080, "/").map_err(|it| it.to_string()));
    assert!(page.ends_with("well\n"), "{page}");
}
