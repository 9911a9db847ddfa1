use swarm_types::spec::mount::{MountKind, Propagation};
use swarm_types::spec::service::{Protocol, PublishMode};

use super::*;

/// Every grammar, and texts that are not of it.
#[test]
fn malformed_values_are_refused() {
    type Grammar = (&'static str, fn(&str) -> bool, &'static [&'static str]);
    let table: &[Grammar] = &[
        ("words", |it| words(it).is_ok(), &["sh 'open", "\"a"]),
        ("label", |it| label(it).is_ok(), &["", "=x", " =x"]),
        ("pair", |it| pair(it).is_ok(), &["", "a", "=x"]),
        ("variable", |it| variable(it).is_ok(), &["", "=x"]),
        (
            "host",
            |it| host(it).is_ok(),
            &["", "a", "a:", ":1.2.3.4", "a:1.2.3", "a:[::1", "a b:1.2.3.4"],
        ),
        ("address", |it| address(it).is_ok(), &["", "dns.local", "1.2.3", "1.2.3.4/24"]),
        ("domain", |it| domain(it).is_ok(), &["", "a..b", "-a", "a b", "a/b"]),
        (
            "preference",
            |it| preference(it).is_ok(),
            &["", "spread", "spread=", "pack=node.labels.a"],
        ),
        (
            "ulimit",
            |it| ulimit(it).is_ok(),
            &[
                "",
                "nofile",
                "nofile=",
                "nofile=a",
                "nofile=2:1",
                "nofile=1:2:3",
                "x=1",
                "nofile=-1:5",
                "nofile=-2",
            ],
        ),
        ("generic", |it| generic(it).is_ok(), &["", "gpu", "gpu=a", "=1", "gpu=-1", "gpu=1.5"]),
        ("ratio", |it| ratio(it).is_ok(), &["", "a", "-0.1", "1.1", "nan", "inf"]),
        ("bytes", |it| bytes_or_unlimited(it).is_ok(), &["", "-2", "lots", "1x"]),
        (
            "ports",
            |it| ports(it).is_ok(),
            &[
                "",
                "a",
                "0",
                "65536",
                "80/icmp",
                "1.2.3.4:80:80",
                "[::1]:80:80",
                "80:",
                "90-80",
                "1-2:1-3",
                "80-81:1-3",
                "target=",
                "target=0",
                "published=80",
                "target=80,mode=x",
                "target=80,x=1",
                "target=80,protocol=icmp",
                "target=80,published=70000",
                "target=80,,",
                "80:80:80",
            ],
        ),
        (
            "mount",
            |it| mount(it).is_ok(),
            &[
                "",
                "target=",
                "type=bind,source=/a",
                "type=nfs,target=/a",
                "target=/a,x=1",
                "target=/a,x",
                "target=/a,readonly=yes",
                "target=/a,bind-propagation=shared",
                "type=bind,target=/a,volume-nocopy",
                "type=bind,target=/a,bind-propagation=x",
                "type=bind,target=/a,bind-recursive=x",
                "type=bind,target=/a,bind-recursive=writable",
                "type=bind,target=/a,ro,bind-recursive=readonly",
                "type=bind,target=/a,bind-nonrecursive",
                "type=bind,target=/a,bind-nonrecursive=true",
                "type=tmpfs,target=/a,tmpfs-size=x",
                "type=tmpfs,target=/a,tmpfs-mode=9",
                "target=/a,tmpfs-mode=700",
                "target=/a,image-subpath=x",
                "target=/a,consistency=x",
                "target=/a,volume-nocopy=2",
                "\"target=/a",
                "type=bind,target=/a,bind-x=1",
                "target=/a,volume-x=1",
                "type=tmpfs,target=/a,tmpfs-x=1",
            ],
        ),
        ("env file", |it| env_file(it.as_bytes()).is_ok(), &["=x", "A B=1", "ok=1\nno pe=2"]),
        ("word", |it| word(it, &[("a", 1)]).is_ok(), &["", "b"]),
    ];
    for (name, reads, refused) in table {
        for text in *refused {
            assert!(!reads(text), "{name} takes {text:?}");
        }
    }
}

#[test]
fn ports_pair_up_or_spread() {
    let shown = |text: &str| -> Vec<String> {
        let port = |it: &swarm_types::spec::service::PortConfig| {
            let mode = if it.mode == PublishMode::Host { "host" } else { "ingress" };
            format!("{}:{}/{} {mode}", it.published, it.target, it.protocol.as_str())
        };
        ports(text).unwrap().iter().map(port).collect()
    };
    for (text, expected) in [
        ("80", vec!["0:80/tcp ingress"]),
        ("8080:80/UDP", vec!["8080:80/udp ingress"]),
        ("8080-8081:80-81", vec!["8080:80/tcp ingress", "8081:81/tcp ingress"]),
        ("8080-8081:80", vec!["8080:80/tcp ingress", "8081:80/tcp ingress"]),
        ("80-81/sctp", vec!["0:80/sctp ingress", "0:81/sctp ingress"]),
        (":80", vec!["0:80/tcp ingress"]),
        ("65535:65535", vec!["65535:65535/tcp ingress"]),
        ("Target=80,MODE=Host", vec!["0:80/tcp host"]),
        ("target=53,published=5353,protocol=udp", vec!["5353:53/udp ingress"]),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
    assert_eq!(port_to_remove("53/udp").unwrap().protocol, Protocol::Udp);
    assert!(port_to_remove("80-81").is_err());
}

#[test]
fn mounts_take_their_options() {
    let volume =
        mount("source=data,target=/data,volume-label=a=b,\"volume-opt=o=x,y\",volume-nocopy")
            .unwrap();
    let options = volume.volume.unwrap();
    assert_eq!((volume.kind, volume.source.as_str()), (MountKind::Volume, "data"));
    assert_eq!((options.labels["a"].as_str(), options.no_copy), ("b", true));

    let bind =
        mount("type=bind,src=/a,dst=/b,ro,bind-propagation=rprivate,bind-recursive=readonly")
            .unwrap();
    let options = bind.bind.unwrap();
    assert!(bind.read_only && options.read_only_force_recursive);
    assert_eq!(options.propagation, Propagation::RPrivate);

    let tmpfs = mount("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770").unwrap().tmpfs.unwrap();
    assert_eq!((tmpfs.size_bytes, tmpfs.mode), (1 << 20, 0o1770));

    let here = std::env::current_dir().unwrap();
    let relative = mount("type=bind,source=./x,target=/b").unwrap();
    assert_eq!(relative.source, here.join("x").to_string_lossy());
}

#[test]
fn a_quoted_field_may_hold_commas() {
    let mount = mount("target=/d,\"volume-opt=o=addr=1.1.1.1,rw\"").unwrap();
    let driver = mount.volume.unwrap().driver.unwrap();
    assert_eq!(driver.options["o"], "addr=1.1.1.1,rw");
}

#[test]
fn an_env_file_is_read_as_it_is() {
    let text = "\u{feff}# comment\n\n  A=1 \nB=\"x\"\nC=$A\nSURELY_NOT_SET_HERE\nPATH\n";
    let read = env_file(text.as_bytes()).unwrap();
    assert_eq!(read[..3], ["A=1 ", "B=\"x\"", "C=$A"]);
    assert!(read[3].starts_with("PATH=") && read.len() == 4);
    assert!(env_file(&[0xff]).is_err());
}

#[test]
fn hosts_become_lines_of_a_hosts_file() {
    for (text, line) in [
        ("db:10.0.0.1", "10.0.0.1 db"),
        ("db=10.0.0.1", "10.0.0.1 db"),
        ("db:::1", "::1 db"),
        ("db:[::1]", "::1 db"),
        ("db:host-gateway", "host-gateway db"),
    ] {
        assert_eq!(host(text).unwrap(), line);
    }
}

#[test]
fn capabilities_have_one_form() {
    let names = ["net_admin", "CAP_SYS_TIME", "all", "reset"].map(str::to_owned);
    let expected = ["ALL", "CAP_NET_ADMIN", "CAP_SYS_TIME", "RESET"].map(str::to_owned);
    assert_eq!(caps(&names), expected.into());
}
