//! Rules about a container's image, process, health and kernel settings.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::Rule;
use super::form::{bad_label, first_bad, shown, too_long, twice};
use crate::image::ImageRef;
use crate::signal;
use crate::spec::container::{ContainerSpec, HealthConfig, Ulimit};

pub(super) const RULES: &[Rule<ContainerSpec>] = &[
    Rule {
        id: "image",
        field: "TaskTemplate.ContainerSpec.Image",
        says: "an image reference must be given and be parsable",
        found: |it| {
            let why = it.image.parse::<ImageRef>().err()?;
            Some(format!("{}: {why}", shown(&it.image)))
        },
        breaks: |it| it.image = "Web".to_owned(),
    },
    Rule {
        id: "container-label",
        field: "TaskTemplate.ContainerSpec.Labels",
        says: "a label needs a key without blanks around it",
        found: |it| bad_label(&it.labels),
        breaks: |it| it.labels = pair("", ""),
    },
    Rule {
        id: "process-text",
        field: "TaskTemplate.ContainerSpec.Command",
        says: "command, arguments, directory and user must not hold a NUL character",
        found: |it| {
            let texts = it.command.iter().chain(&it.args).chain([&it.dir, &it.user]);
            first_bad(texts, |text| !text.contains('\0'))
        },
        breaks: |it| it.args = vec!["\0".to_owned()],
    },
    Rule {
        id: "env",
        field: "TaskTemplate.ContainerSpec.Env",
        says: "an environment entry is KEY=VALUE or KEY, with a key and without NUL",
        // Only the key is shown: values are often passwords.
        found: |it| {
            let key = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
            let bad = |entry: &&String| key(entry).is_empty() || entry.contains('\0');
            it.env.iter().find(bad).map(|entry| format!("key {}", shown(&key(entry))))
        },
        breaks: |it| it.env = vec!["=x".to_owned()],
    },
    Rule {
        id: "stop-signal",
        field: "TaskTemplate.ContainerSpec.StopSignal",
        says: "invalid signal: must be a name such as SIGTERM, or a number from 1 to 64",
        found: |it| {
            let good = it.stop_signal.is_empty() || signal::number(&it.stop_signal).is_some();
            (!good).then(|| shown(&it.stop_signal))
        },
        breaks: |it| it.stop_signal = "SIGNOTHING".to_owned(),
    },
    Rule {
        id: "stop-grace-period",
        field: "TaskTemplate.ContainerSpec.StopGracePeriod",
        says: "the grace period must fit 64 bits of nanoseconds",
        found: |it| too_long(&[it.stop_grace_period]),
        breaks: |it| it.stop_grace_period = Duration::MAX,
    },
    Rule {
        id: "health-test",
        field: "TaskTemplate.ContainerSpec.Healthcheck.Test",
        says: "a health check is empty, NONE, CMD with a command, or CMD-SHELL with one line",
        found: |it| {
            let test = &it.healthcheck.as_ref()?.test;
            let good = match test.first().map(String::as_str) {
                None => true,
                Some("NONE") => test.len() == 1,
                Some("CMD") => test.len() >= 2,
                Some("CMD-SHELL") => test.len() == 2,
                Some(_) => false,
            };
            (!good).then(|| shown(&test.join(" ")))
        },
        breaks: |it| {
            let test = vec!["curl".to_owned()];
            it.healthcheck = Some(HealthConfig { test, ..HealthConfig::default() });
        },
    },
    Rule {
        id: "health-duration",
        field: "TaskTemplate.ContainerSpec.Healthcheck",
        says: "Interval, Timeout, StartPeriod and StartInterval must be 0 or at least 1ms",
        found: |it| {
            let it = it.healthcheck.as_ref()?;
            let all = [it.interval, it.timeout, it.start_period, it.start_interval];
            let short = |it: &&Duration| !it.is_zero() && **it < Duration::from_millis(1);
            let short = all.iter().find(short).map(|it| format!("{}ns", it.as_nanos()));
            short.or_else(|| too_long(&all))
        },
        breaks: |it| {
            let interval = Duration::from_micros(999);
            it.healthcheck = Some(HealthConfig { interval, ..HealthConfig::default() });
        },
    },
    Rule {
        id: "health-retries",
        field: "TaskTemplate.ContainerSpec.Healthcheck.Retries",
        says: "retries must be between 0 and 2147483647",
        found: |it| {
            let retries = it.healthcheck.as_ref()?.retries;
            i32::try_from(retries).is_err().then(|| retries.to_string())
        },
        breaks: |it| {
            it.healthcheck = Some(HealthConfig { retries: u32::MAX, ..HealthConfig::default() });
        },
    },
    Rule {
        id: "hosts",
        field: "TaskTemplate.ContainerSpec.Hosts",
        says: "a hosts line is an IP address (or host-gateway) followed by names",
        found: |it| first_bad(&it.hosts, is_hosts_line),
        breaks: |it| it.hosts = vec!["name 10.0.0.1".to_owned()],
    },
    Rule {
        id: "dns-server",
        field: "TaskTemplate.ContainerSpec.DNSConfig.Nameservers",
        says: "a name server must be an IP address",
        found: |it| first_bad(&it.dns.nameservers, |text| text.parse::<IpAddr>().is_ok()),
        breaks: |it| it.dns.nameservers = vec!["dns.example".to_owned()],
    },
    Rule {
        id: "dns-text",
        field: "TaskTemplate.ContainerSpec.DNSConfig",
        says: "search domains and resolver options must be single words",
        found: |it| first_bad(it.dns.search.iter().chain(&it.dns.options), is_word),
        breaks: |it| it.dns.search = vec!["a\nnameserver 6.6.6.6".to_owned()],
    },
    Rule {
        id: "sysctl",
        field: "TaskTemplate.ContainerSpec.Sysctls",
        says: "a sysctl is named by lower-case words joined by dots or slashes",
        found: |it| first_bad(it.sysctls.keys(), is_sysctl),
        breaks: |it| it.sysctls = pair("../net", "1"),
    },
    Rule {
        id: "capability",
        field: "TaskTemplate.ContainerSpec.CapabilityAdd",
        says: "unknown capability",
        found: |it| first_bad(it.capability_add.iter().chain(&it.capability_drop), is_capability),
        breaks: |it| it.capability_add = vec!["CAP_NOTHING".to_owned()],
    },
    Rule {
        id: "ulimit-name",
        field: "TaskTemplate.ContainerSpec.Ulimits",
        says: "invalid ulimit type",
        found: |it| first_bad(it.ulimits.iter().map(|it| &it.name), |name| ULIMITS.contains(&name)),
        breaks: |it| it.ulimits = vec![Ulimit { name: "files".to_owned(), soft: 1, hard: 1 }],
    },
    Rule {
        id: "ulimit-range",
        field: "TaskTemplate.ContainerSpec.Ulimits",
        says: "a ulimit's soft limit must not be above its hard limit; -1 is unlimited",
        found: |it| {
            let bad =
                |it: &&Ulimit| it.soft < -1 || it.hard < -1 || amount(it.soft) > amount(it.hard);
            it.ulimits.iter().find(bad).map(|it| format!("{}={}:{}", it.name, it.soft, it.hard))
        },
        breaks: |it| it.ulimits = vec![Ulimit { name: "nofile".to_owned(), soft: -1, hard: 9 }],
    },
    Rule {
        id: "ulimit-twice",
        field: "TaskTemplate.ContainerSpec.Ulimits",
        says: "a ulimit can be set once",
        found: |it| twice(it.ulimits.iter().map(|it| it.name.as_str())).map(shown),
        breaks: |it| it.ulimits = vec![Ulimit { name: "core".to_owned(), soft: 0, hard: 0 }; 2],
    },
    Rule {
        id: "oom-score",
        field: "TaskTemplate.ContainerSpec.OomScoreAdj",
        says: "the OOM score adjustment must be between -1000 and 1000",
        found: |it| {
            (!(-1000..=1000).contains(&it.oom_score_adj)).then(|| it.oom_score_adj.to_string())
        },
        breaks: |it| it.oom_score_adj = 1001,
    },
];

const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

const CAPABILITIES: [&str; 42] = [
    "ALL",
    "CAP_AUDIT_CONTROL",
    "CAP_AUDIT_READ",
    "CAP_AUDIT_WRITE",
    "CAP_BLOCK_SUSPEND",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_KILL",
    "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE",
    "CAP_MAC_ADMIN",
    "CAP_MAC_OVERRIDE",
    "CAP_MKNOD",
    "CAP_NET_ADMIN",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_RAW",
    "CAP_PERFMON",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYSLOG",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_CHROOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_NICE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_WAKE_ALARM",
];

fn is_capability(name: &str) -> bool {
    CAPABILITIES.contains(&name)
}

fn is_hosts_line(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let address =
        words.next().is_some_and(|it| it == "host-gateway" || it.parse::<IpAddr>().is_ok());
    address && words.next().is_some() && !line.contains(['\n', '\r', '#', '\0'])
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn is_sysctl(name: &str) -> bool {
    let word = |word: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        !word.is_empty() && word.bytes().all(known)
    };
    name.split(['.', '/']).all(word)
}

/// A limit as a number that can be compared: unlimited is more than anything.
fn amount(limit: i64) -> i64 {
    if limit == -1 { i64::MAX } else { limit }
}

fn pair(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}
