//! What the machine did beside a figure.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use crate::Outcome;
use crate::figure::{figure, median, millis};

/// Syncs that are timed.
const SYNCS: usize = 200;

/// The machine as it was when the figures began.
pub(crate) struct Host {
    stolen: u64,
    all: u64,
}

impl Host {
    pub(crate) fn look() -> Result<Self, Box<dyn std::error::Error>> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let words = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
        // user nice system idle iowait irq softirq steal; what guests had is in user already.
        let ticks: Vec<u64> = words.take(8).filter_map(|word| word.parse().ok()).collect();
        Ok(Self { stolen: ticks.get(7).copied().unwrap_or_default(), all: ticks.iter().sum() })
    }

    /// Prints the share of time that others had since, and how long a sync takes now.
    pub(crate) fn tell(&self) -> Outcome {
        let now = Self::look()?;
        let all = now.all.saturating_sub(self.all).max(1);
        let stolen = now.stolen.saturating_sub(self.stolen);
        figure("host_steal", stolen as f64 * 100.0 / all as f64, "%");
        let scratch = tempfile::Builder::new().prefix("sb").tempdir_in("/var/tmp")?;
        let mut file = File::create(scratch.path().join("log"))?;
        let mut took = Vec::new();
        for _ in 0..SYNCS {
            let start = Instant::now();
            file.write_all(&[0; 768])?;
            file.sync_data()?;
            took.push(millis(start.elapsed()));
        }
        figure("host_fdatasync_p50", median(&mut took), "ms");
        figure("host_fdatasync_p99", took.get(SYNCS * 99 / 100).copied().unwrap_or(f64::NAN), "ms");
        Ok(())
    }
}
