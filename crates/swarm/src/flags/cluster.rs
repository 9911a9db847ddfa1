//! Settings of the cluster, as `init` and `update` take them.

use std::time::Duration;

use swarm_types::spec::cluster::ClusterSpec;

use super::grammar;

/// Flags that change settings of the cluster; what is not given stays as it is.
#[derive(clap::Args, Debug, Default, PartialEq)]
pub(crate) struct ClusterFlags {
    /// Tasks kept per slot; negative keeps all
    #[arg(long, value_name = "INT", allow_negative_numbers = true)]
    task_history_limit: Option<i64>,
    /// Time between the heartbeats of a node
    #[arg(long, value_name = "DURATION", value_parser = grammar::duration)]
    dispatcher_heartbeat: Option<Duration>,
    /// Life of the nodes' certificates, from their next renewal on
    #[arg(long, value_name = "DURATION", value_parser = grammar::duration)]
    cert_expiry: Option<Duration>,
    /// Older raft snapshots kept (not supported: the newest is enough)
    #[arg(long, value_name = "UINT")]
    max_snapshots: Option<u64>,
    /// Raft entries between snapshots (not supported: they are made by the size of the log)
    #[arg(long, value_name = "UINT")]
    snapshot_interval: Option<u64>,
    /// Authority outside the cluster (not supported yet)
    #[arg(long, value_name = "EXTERNAL-CA")]
    external_ca: Vec<String>,
}

impl ClusterFlags {
    /// Whether no flag was given.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Brings the flags into the settings.
    ///
    /// # Errors
    ///
    /// When a flag is not supported yet.
    pub(crate) fn apply(&self, spec: &mut ClusterSpec) -> anyhow::Result<()> {
        anyhow::ensure!(self.external_ca.is_empty(), "not supported yet: --external-ca");
        anyhow::ensure!(
            self.max_snapshots.is_none(),
            "not supported: --max-snapshots: the newest snapshot is kept, and checked when it is made"
        );
        anyhow::ensure!(
            self.snapshot_interval.is_none(),
            "not supported: --snapshot-interval: snapshots are made by the size of the log"
        );
        if let Some(limit) = self.task_history_limit {
            spec.task_history_limit = limit;
        }
        if let Some(period) = self.dispatcher_heartbeat {
            spec.heartbeat_period = period;
        }
        if let Some(expiry) = self.cert_expiry {
            spec.ca.node_cert_expiry = expiry;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: ClusterFlags,
    }

    fn flags(args: &[&str]) -> ClusterFlags {
        let line = std::iter::once("swarm").chain(args.iter().copied());
        Line::try_parse_from(line).unwrap().flags
    }

    #[test]
    fn each_flag_changes_its_setting_and_no_other() {
        let set = |edit: fn(&mut ClusterSpec)| {
            let mut spec = ClusterSpec::default();
            edit(&mut spec);
            spec
        };
        assert!(flags(&[]).is_empty());
        for (args, expected) in [
            (["--task-history-limit", "-1"], set(|it| it.task_history_limit = -1)),
            (
                ["--dispatcher-heartbeat", "3s"],
                set(|it| it.heartbeat_period = Duration::from_secs(3)),
            ),
            (["--cert-expiry", "2h"], set(|it| it.ca.node_cert_expiry = Duration::from_secs(7200))),
        ] {
            let mut spec = ClusterSpec::default();

            flags(&args).apply(&mut spec).unwrap();

            assert_eq!(spec, expected, "{args:?}");
            assert!(!flags(&args).is_empty());
        }
    }

    #[test]
    fn what_would_have_no_effect_is_refused_by_name() {
        for args in [
            ["--external-ca", "protocol=cfssl,url=https://ca"],
            ["--max-snapshots", "3"],
            ["--snapshot-interval", "9"],
        ] {
            let mut spec = ClusterSpec::default();

            let refusal = flags(&args).apply(&mut spec).unwrap_err().to_string();

            assert!(refusal.starts_with("not supported") && refusal.contains(args[0]), "{refusal}");
            assert_eq!(spec, ClusterSpec::default());
        }
    }
}
