//! Containers: image, process and health.

use swarm_types::spec::container::{
    ContainerSpec, CredentialSpec, DnsConfig, HealthConfig, Isolation, Privileges, PullOptions,
    SeLinuxContext, Seccomp, Ulimit,
};
use swarm_types::spec::secret::{ConfigReference, FileTarget, SecretReference};

use crate::codec::{mirror, words};
use crate::v1::{credential_spec, seccomp};
use crate::{DecodeError, v1};

words! {
    Isolation { Default, Process, HyperV }
}

mirror!(ContainerSpec {
    image: same,
    labels: same,
    command: same,
    args: same,
    hostname: same,
    env: same,
    dir: same,
    user: same,
    groups: same,
    privileges: need,
    init: same,
    stop_signal: same,
    tty: same,
    open_stdin: same,
    read_only: same,
    mounts: list,
    healthcheck: maybe,
    hosts: same,
    dns: need,
    secrets: list,
    configs: list,
    isolation: word,
    sysctls: same,
    capability_add: same,
    capability_drop: same,
    ulimits: list,
    oom_score_adj: same,
    pull: need,
} as { stop_grace_period_ns = stop_grace_period: span });
mirror!(PullOptions { registry_auth: need });
mirror!(Privileges {
    credential_spec: maybe,
    selinux: maybe,
    seccomp: maybe,
    apparmor_enabled: same,
    no_new_privileges: same,
});
mirror!(SeLinuxContext { disable: same, user: same, role: same, kind: same, level: same });
mirror!(HealthConfig { test: same, retries: same } as {
    interval_ns = interval: span,
    timeout_ns = timeout: span,
    start_period_ns = start_period: span,
    start_interval_ns = start_interval: span,
});
mirror!(DnsConfig { nameservers: same, search: same, options: same });
mirror!(Ulimit { name: same, soft: same, hard: same });
mirror!(SecretReference { id: id, name: same, target: need });
mirror!(ConfigReference { id: id, name: same, target: maybe });
mirror!(FileTarget { name: same, uid: same, gid: same, mode: same });

impl From<&CredentialSpec> for v1::CredentialSpec {
    fn from(it: &CredentialSpec) -> Self {
        use credential_spec::Source;
        let source = match it {
            CredentialSpec::Config(it) => Source::Config(it.clone()),
            CredentialSpec::File(it) => Source::File(it.clone()),
            CredentialSpec::Registry(it) => Source::Registry(it.clone()),
        };
        Self { source: Some(source) }
    }
}

impl TryFrom<v1::CredentialSpec> for CredentialSpec {
    type Error = DecodeError;
    fn try_from(it: v1::CredentialSpec) -> Result<Self, DecodeError> {
        use credential_spec::Source;
        Ok(match it.source.ok_or_else(|| DecodeError::missing("source"))? {
            Source::Config(it) => Self::Config(it),
            Source::File(it) => Self::File(it),
            Source::Registry(it) => Self::Registry(it),
        })
    }
}

impl From<&Seccomp> for v1::Seccomp {
    fn from(it: &Seccomp) -> Self {
        use seccomp::{Default, Filter, Unconfined};
        let filter = match it {
            Seccomp::Default => Filter::Default(Default {}),
            Seccomp::Unconfined => Filter::Unconfined(Unconfined {}),
            Seccomp::Custom(it) => Filter::Custom(it.clone()),
        };
        Self { filter: Some(filter) }
    }
}

impl TryFrom<v1::Seccomp> for Seccomp {
    type Error = DecodeError;
    fn try_from(it: v1::Seccomp) -> Result<Self, DecodeError> {
        use seccomp::Filter;
        Ok(match it.filter.ok_or_else(|| DecodeError::missing("filter"))? {
            Filter::Default(_) => Self::Default,
            Filter::Unconfined(_) => Self::Unconfined,
            Filter::Custom(it) => Self::Custom(it),
        })
    }
}
