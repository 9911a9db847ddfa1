//! `swarm ca`
//!
//! Prints the root certificate that every node trusts, in PEM.

use swarm_client::Client;

use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Ca {
    /// Replace the root (not supported yet)
    #[arg(long)]
    rotate: bool,
    /// Root to rotate to (not supported yet)
    #[arg(long, value_name = "PEM-FILE")]
    ca_cert: Option<String>,
    /// Key of the root to rotate to (not supported yet)
    #[arg(long, value_name = "PEM-FILE")]
    ca_key: Option<String>,
    /// Life of the nodes' certificates (only with --rotate)
    #[arg(long, value_name = "DURATION")]
    cert_expiry: Option<String>,
    /// Authority outside the cluster (not supported yet)
    #[arg(long, value_name = "EXTERNAL-CA")]
    external_ca: Vec<String>,
    /// Return before every node has a certificate under the new root (not supported yet)
    #[arg(long, short)]
    detach: bool,
}

impl Ca {
    /// Names of what was asked for beyond the certificate.
    fn refused(&self) -> Option<&'static str> {
        let asked = [
            (self.rotate, "--rotate"),
            (self.ca_cert.is_some(), "--ca-cert"),
            (self.ca_key.is_some(), "--ca-key"),
            (self.external_ca.iter().any(|it| !it.is_empty()), "--external-ca"),
            (self.cert_expiry.is_some(), "--cert-expiry; `swarm update --cert-expiry` sets it"),
            (self.detach, "--detach"),
        ];
        asked.into_iter().find_map(|(asked, flag)| asked.then_some(flag))
    }
}

pub(crate) async fn run(args: Ca, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    if let Some(flag) = args.refused() {
        anyhow::bail!("not supported yet: {flag}");
    }
    let cluster = client.cluster().await?;
    anyhow::ensure!(!cluster.root_cert.is_empty(), "no CA information available");
    Ok(out.line(cluster.root_cert.trim_end())?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        ca: Ca,
    }

    #[test]
    fn every_flag_of_a_rotation_is_refused_by_name() {
        let refused = |args: &[&str]| {
            let line = std::iter::once("swarm").chain(args.iter().copied());
            Line::try_parse_from(line).unwrap().ca.refused()
        };

        assert_eq!(refused(&[]), None);
        for args in [
            &["--rotate"][..],
            &["--ca-cert", "f"],
            &["--ca-key", "f"],
            &["--cert-expiry", "2h"],
            &["--external-ca", "protocol=cfssl,url=https://ca"],
            &["--detach"],
        ] {
            assert!(refused(args).is_some_and(|flag| flag.starts_with(args[0])), "{args:?}");
        }
    }
}
