//! One client that creates one service after the other, beside what it cannot be faster than.
//!
//! The floor is measured in the same loop, so that a disk or a host that changes its pace changes
//! it for both: an append and the two fdatasyncs of a commit (the log's file, and the mark beside
//! it that is rewritten in place), and one round trip on the same connection.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use node_test::Node;

use crate::control::Control;
use crate::figure::{figure, median, millis, note, spread};
use crate::{Effort, Outcome};

/// Bytes of a sealed log entry that creates one service, roughly.
const ENTRY: usize = 768;
/// Bytes of the mark that are rewritten, and where the other half is.
const MARK: usize = 4096;

pub(crate) fn run(effort: Effort) -> Outcome {
    let (runs, creates) = match effort {
        Effort::Full => (9, 500),
        Effort::Smoke => (3, 100),
    };
    let node = Node::founded();
    let mut all = Vec::new();
    for _ in 0..runs {
        all.push(node.netns().run(|| one_run(&node, creates).map_err(|error| error.to_string()))?);
    }

    note(format_args!("create: n = {runs} runs of {creates}, p50 of each"));
    let of = |pick: fn(&Medians) -> f64| all.iter().map(pick).collect::<Vec<f64>>();
    spread("create_p50", &mut of(|it| it.create), "ms");
    spread("create_disk_p50", &mut of(|it| it.disk), "ms");
    spread("create_round_trip_p50", &mut of(|it| it.round_trip), "ms");
    spread("create_to_floor", &mut of(|it| it.create / (it.disk + it.round_trip)), "ratio");
    figure("create_p99", median(&mut of(|it| it.slow)), "ms");
    Ok(())
}

/// Of one run, in milliseconds.
struct Medians {
    create: f64,
    disk: f64,
    round_trip: f64,
    /// The 99th percentile of creating.
    slow: f64,
}

fn one_run(node: &Node, creates: usize) -> Result<Medians, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut control = Control::of(&node.dir().join("state"))?;
        let mut disk = RawDisk::beside(&node.dir().join("state"))?;
        let (mut create, mut raw, mut trip) = (Vec::new(), Vec::new(), Vec::new());
        // Connects, and warms what is used first.
        control.create().await?;
        for _ in 0..creates {
            let start = Instant::now();
            control.create().await?;
            create.push(millis(start.elapsed()));
            raw.push(millis(disk.commit()?));
            let start = Instant::now();
            control.round_trip().await?;
            trip.push(millis(start.elapsed()));
        }
        let (disk, round_trip) = (median(&mut raw), median(&mut trip));
        let middle = median(&mut create);
        let slow = create.get(create.len() * 99 / 100).copied().unwrap_or(f64::NAN);
        Ok(Medians { create: middle, disk, round_trip, slow })
    })
}

/// Files on the daemon's file system that are written as its log and mark are.
struct RawDisk {
    log: File,
    mark: File,
    half: u64,
}

impl RawDisk {
    fn beside(state: &Path) -> std::io::Result<Self> {
        let log = File::create(state.with_file_name("raw-log"))?;
        let mark = File::create(state.with_file_name("raw-mark"))?;
        mark.set_len(2 * MARK as u64)?;
        mark.sync_all()?;
        Ok(Self { log, mark, half: 0 })
    }

    fn commit(&mut self) -> std::io::Result<Duration> {
        let start = Instant::now();
        self.log.write_all(&[7; ENTRY])?;
        self.log.sync_data()?;
        self.mark.write_all_at(&[7; MARK], self.half * MARK as u64)?;
        self.mark.sync_data()?;
        self.half = 1 - self.half;
        Ok(start.elapsed())
    }
}
