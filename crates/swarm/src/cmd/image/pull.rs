//! `swarm image pull NAME[:TAG|@DIGEST]`
//!
//! Tells on stderr how far each layer is; prints the image's full name. Credentials are those of
//! `docker login`. Interrupted, it keeps what was fetched: the next pull goes on from there.

use std::collections::BTreeMap;

use anyhow::Context;
use swarm_client::{Client, PullPhase, PullProgress};
use swarm_types::text::{decimal_size, short_id};

use crate::credentials;
use crate::output::Printer;

/// Parts of a layer after which it is told again.
const PARTS: u64 = 4;

#[derive(clap::Args, Debug)]
pub(crate) struct Pull {
    /// Image, with a tag or digest
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    image: String,
}

pub(crate) async fn run(args: Pull, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let auth = credentials::of_image(&args.image).await?;
    let mut told = Told::default();
    let pulled = client.pull_image(&args.image, &auth, |step| {
        if let Some(line) = told.line(&step) {
            out.note(line);
        }
    });
    let pulled = pulled.await.with_context(|| format!("pull {}", args.image))?;
    out.note(format_args!("Digest: {}", pulled.digest));
    Ok(out.line(&pulled.name)?)
}

/// What was said of each layer last: phase and part.
#[derive(Debug, Default)]
struct Told(BTreeMap<String, (&'static str, u64)>);

impl Told {
    /// A line when there is something new.
    fn line(&mut self, step: &PullProgress) -> Option<String> {
        let what = match step.phase {
            PullPhase::Waiting => "Waiting",
            PullPhase::Downloading => "Downloading",
            PullPhase::Downloaded => "Download complete",
            PullPhase::Unpacking => "Extracting",
            PullPhase::Done => "Pull complete",
            PullPhase::Present => "Already exists",
        };
        let downloading = step.phase == PullPhase::Downloading;
        let part = step.done_bytes.saturating_mul(PARTS).checked_div(step.total_bytes);
        let now = (what, if downloading { part.unwrap_or(0) } else { 0 });
        if self.0.insert(step.digest.clone(), now) == Some(now) {
            return None;
        }
        let mut line = format!("{}: {what}", short_id(&step.digest));
        if downloading {
            let (done, total) = (decimal_size(step.done_bytes), decimal_size(step.total_bytes));
            line += &format!(" {done}/{total}");
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_told_of_when_it_got_on() {
        let mut told = Told::default();
        let digest = format!("sha256:{}", "ab".repeat(32));
        let mut lines = Vec::new();
        for (phase, done) in [
            (PullPhase::Waiting, 0),
            (PullPhase::Downloading, 0),
            (PullPhase::Downloading, 200),
            (PullPhase::Downloading, 600),
            (PullPhase::Downloading, 700),
            (PullPhase::Downloaded, 1000),
            (PullPhase::Done, 1000),
        ] {
            let digest = digest.clone();
            let step = PullProgress { digest, phase, done_bytes: done, total_bytes: 1000 };
            lines.extend(told.line(&step));
        }

        assert_eq!(
            lines,
            [
                "abababababab: Waiting",
                "abababababab: Downloading 0B/1kB",
                "abababababab: Downloading 600B/1kB",
                "abababababab: Download complete",
                "abababababab: Pull complete",
            ]
        );
    }
}
