//! `/etc/hosts`, `/etc/resolv.conf` and `/etc/hostname` of a container, as Docker writes them.
//!
//! The texts are pure functions of the task and of the host's own files; [`write`] puts them
//! where the container finds them.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use swarm_runtime::File;
use swarm_types::spec::container::{ContainerSpec, DnsConfig};

/// Used when neither the task nor the host names a server a container can reach.
const PUBLIC: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
/// The stub of systemd-resolved, and where it says what it forwards to.
const STUB: &str = "127.0.0.53";
const BEHIND_STUB: &str = "/run/systemd/resolve/resolv.conf";

/// The names every container knows, then the task's own lines, then the container itself.
fn hosts(extra: &[String], own: Option<IpAddr>, hostname: &str) -> String {
    let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
                    fe00::\tip6-localnet\nff00::\tip6-mcastprefix\n\
                    ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
        .to_owned();
    push_hosts(&mut text, extra);
    if let Some(own) = own {
        let short = hostname.split('.').next().unwrap_or_default();
        let alias = if short == hostname { String::new() } else { format!(" {short}") };
        text.push_str(&format!("{own}\t{hostname}{alias}\n"));
    }
    text
}

/// The host's own names, then the task's lines; for a task in the host's network.
fn hosts_of_host(host: &str, extra: &[String]) -> String {
    let mut text = host.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    push_hosts(&mut text, extra);
    text
}

/// Lines of a spec are `IP NAME [ALIAS...]`; as in Docker, only the first name counts.
fn push_hosts(text: &mut String, extra: &[String]) {
    for line in extra {
        let mut words = line.split_whitespace();
        if let (Some(address), Some(name)) = (words.next(), words.next()) {
            text.push_str(&format!("{address}\t{name}\n"));
        }
    }
}

/// Whether a container shares the host's loopback, and with it servers that listen there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Loopback {
    /// It is the host's.
    Shared,
    /// It is the container's own.
    Own,
}

/// What the task names wins, part by part; the rest is the host's.
fn resolv(host: &str, dns: &DnsConfig, loopback: Loopback) -> String {
    let mut servers = dns.nameservers.clone();
    if servers.is_empty() {
        let reachable = |server: &&str| loopback == Loopback::Shared || !is_loopback(server);
        servers = words(host, "nameserver").filter(reachable).map(str::to_owned).collect();
    }
    if servers.is_empty() && loopback == Loopback::Own {
        servers = PUBLIC.map(str::to_owned).to_vec();
    }
    let or_hosts = |given: &[String], key| match given {
        [] => words(host, key).map(str::to_owned).collect(),
        given => given.to_vec(),
    };
    let mut search = or_hosts(&dns.search, "search");
    search.retain(|domain| domain != ".");
    let options = or_hosts(&dns.options, "options");
    let mut text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    for (key, words) in [("search", search), ("options", options)] {
        if !words.is_empty() {
            text.push_str(&format!("{key} {}\n", words.join(" ")));
        }
    }
    text
}

/// The words of the last line with that key; of `nameserver`, the first words of all of them.
fn words<'a>(resolv: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = resolv.lines().filter_map(move |line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(key)).then_some(words)
    });
    let mut found: Vec<&str> = Vec::new();
    for mut line in lines {
        if key == "nameserver" {
            found.extend(line.next());
        } else {
            found = line.collect();
        }
    }
    found.into_iter()
}

fn is_loopback(server: &str) -> bool {
    let address = server.split('%').next().unwrap_or_default();
    address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The host's `resolv.conf`: behind systemd-resolved's stub, the one with the real servers.
fn host_resolv() -> String {
    let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if words(&text, "nameserver").eq([STUB]) {
        return fs::read_to_string(BEHIND_STUB).unwrap_or(text);
    }
    text
}

/// What a container is to find in `/etc`. One on the host's network (`own` is `None`) has the
/// host's files, unless it asks for more; one without an address knows only itself.
pub(super) fn wanted(
    spec: &ContainerSpec,
    hostname: Option<&str>,
    own: Option<Option<IpAddr>>,
) -> Vec<(&'static str, String)> {
    let mut wanted = Vec::new();
    let loopback = if own.is_some() { Loopback::Own } else { Loopback::Shared };
    if let Some(address) = own {
        wanted.push(("hosts", hosts(&spec.hosts, address, hostname.unwrap_or_default())));
    } else if !spec.hosts.is_empty() {
        let host = fs::read_to_string("/etc/hosts").unwrap_or_default();
        wanted.push(("hosts", hosts_of_host(&host, &spec.hosts)));
    }
    if own.is_some() || spec.dns != DnsConfig::default() {
        wanted.push(("resolv.conf", resolv(&host_resolv(), &spec.dns, loopback)));
    }
    wanted.extend(hostname.map(|name| ("hostname", format!("{name}\n"))));
    wanted
}

/// Writes files of that name and content into `dir`, for the container to find in `/etc`.
///
/// # Errors
///
/// When the node's disk refuses.
pub(super) fn write(dir: &Path, files: &[(&str, String)]) -> io::Result<Vec<File>> {
    fs::create_dir_all(dir)?;
    let mut written = Vec::new();
    for (name, content) in files {
        let path: PathBuf = dir.join(name);
        // What a container wrote into its own file is not taken back from it.
        if !path.exists() {
            let fresh = dir.join(format!(".{name}"));
            fs::write(&fresh, content)?;
            fs::rename(&fresh, &path)?;
        }
        written.push(File { source: path, target: format!("/etc/{name}") });
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "# made by hand\nnameserver 127.0.0.1\nnameserver 10.0.0.2\n\
                        search old\nsearch a.example b.example\noptions ndots:2\n";

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_container_knows_itself_and_the_names_it_was_given() {
        let extra = list(&["10.0.0.9 db db.local", "::5 six", "nothing"]);

        let text = hosts(&extra, Some([172, 29, 0, 5].into()), "web.example");

        assert!(text.starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost"));
        assert!(text.ends_with("10.0.0.9\tdb\n::5\tsix\n172.29.0.5\tweb.example web\n"), "{text}");
        assert!(hosts(&[], None, "web").ends_with("ip6-allrouters\n"));
        assert_eq!(hosts_of_host("1.2.3.4 x", &extra[..1]), "1.2.3.4 x\n10.0.0.9\tdb\n");
    }

    #[test]
    fn servers_on_the_hosts_loopback_are_replaced() {
        let none = DnsConfig::default();

        assert_eq!(
            resolv(HOST, &none, Loopback::Own),
            "nameserver 10.0.0.2\nsearch a.example b.example\noptions ndots:2\n"
        );
        assert!(resolv(HOST, &none, Loopback::Shared).starts_with("nameserver 127.0.0.1\n"));
        let only_local = "nameserver ::1\nnameserver 127.0.0.53\n";
        let public = "nameserver 8.8.8.8\nnameserver 8.8.4.4\n";
        assert_eq!(resolv(only_local, &none, Loopback::Own), public);
        assert_eq!(resolv("", &none, Loopback::Own), public);
    }

    #[test]
    fn what_the_task_names_wins_part_by_part() {
        let dns = DnsConfig {
            nameservers: list(&["127.0.0.9"]),
            search: list(&["."]),
            options: Vec::new(),
        };

        let text = resolv(HOST, &dns, Loopback::Own);

        assert_eq!(text, "nameserver 127.0.0.9\noptions ndots:2\n");
    }

    #[test]
    fn a_task_on_the_hosts_network_has_the_hosts_files() {
        let (plain, address) = (ContainerSpec::default(), Some([172, 29, 0, 5].into()));
        let names = |files: Vec<(&'static str, String)>| -> Vec<&str> {
            files.into_iter().map(|(name, _)| name).collect()
        };

        assert_eq!(wanted(&plain, None, None), []);
        let asks = ContainerSpec { hosts: list(&["1.2.3.4 x"]), ..ContainerSpec::default() };
        assert_eq!(names(wanted(&asks, Some("web"), None)), ["hosts", "hostname"]);
        let all = wanted(&plain, Some("web"), Some(address));
        assert_eq!(all[2], ("hostname", "web\n".to_owned()));
        assert_eq!(names(all), ["hosts", "resolv.conf", "hostname"]);
    }

    #[test]
    fn what_a_container_wrote_into_its_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let of_task = dir.path().join("task");
        let write = |text: &str| write(&of_task, &[("hosts", text.to_owned())]).unwrap();

        let files = write("first");
        write("second");

        assert_eq!(files[0].target, "/etc/hosts");
        assert_eq!(fs::read_to_string(&files[0].source).unwrap(), "first");
    }
}
