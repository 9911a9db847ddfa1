//! Figures of the store, one line each: `name value unit`.
//!
//! `raft-bench [TASKS]` (default 1,000,000): the cost of one durable write beside the raw cost
//! of its syncs in the same run, what 64 clients get through, and the longest commit while a
//! snapshot of that many tasks is written.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use swarm_crypto::seal::{Key, Sealer};
use swarm_raft::{Lane, Leadership, Options, Raft};
use swarm_types::object::Meta;
use swarm_types::object::service::Endpoint;
use swarm_types::spec::Annotations;
use swarm_types::spec::secret::ConfigSpec;
use swarm_types::spec::service::ServiceSpec;
use swarm_types::{
    Change, Config, CreateTask, Group, IdSource, NewTemplate, NodeId, Service, ServiceId,
    TaskState, Timestamp,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const SEQUENTIAL: usize = 2_000;
const CLIENTS: u64 = 64;
const SPELL: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let tasks = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let dir = tempfile::tempdir_in(".")?;
    let out = &mut io::stdout();

    let (grown, grown_late) = spread(raw(dir.path(), 0)?);
    writeln!(out, "raft.raw_append_p50 {} us", grown.as_micros())?;
    writeln!(out, "raft.raw_append_p99 {} us", grown_late.as_micros())?;
    let (raw, raw_late) = spread(raw(dir.path(), 512 * SEQUENTIAL as u64)?);
    writeln!(out, "raft.raw_preallocated_p50 {} us", raw.as_micros())?;
    writeln!(out, "raft.raw_preallocated_p99 {} us", raw_late.as_micros())?;

    let node = IdSource::system().draw::<NodeId>();
    let mut options = Options::new(dir.path().join("raft"), node, "127.0.0.1:2377".into());
    // Only the snapshot that is measured is wanted.
    options.limits.snapshot_after = u64::MAX;
    let sealer = Sealer::new(&Key::generate(), 1);
    let mut ids = IdSource::system();
    let raft = Raft::bootstrap(options.clone(), sealer.clone(), config(&mut ids)).await?;

    let (create, late) = spread(sequential(&raft, &mut ids).await?);
    writeln!(out, "raft.create_p50 {} us", create.as_micros())?;
    writeln!(out, "raft.create_p99 {} us", late.as_micros())?;
    writeln!(out, "raft.create_over_raw {:.2} x", create.as_secs_f64() / raw.as_secs_f64())?;

    let (each, cpu) = crowd(&raft).await?;
    writeln!(out, "raft.creates_64_clients {each:.0} 1/s")?;
    writeln!(out, "raft.cpu_per_create {:.1} us", cpu.as_secs_f64() * 1e6)?;

    let began = Instant::now();
    fill(&raft, &mut ids, tasks).await?;
    writeln!(out, "raft.fill {} ms", began.elapsed().as_millis())?;
    raft.shutdown().await;
    options.limits.snapshot_after = 1 << 20;
    let began = Instant::now();
    let raft = Raft::open(options, sealer).await?;
    leads(&raft).await?;
    writeln!(out, "raft.reopen_from_log {} ms", began.elapsed().as_millis())?;
    let (longest, built) = during_snapshot(&raft, &mut ids).await?;
    writeln!(out, "raft.snapshot_tasks {tasks} tasks")?;
    writeln!(out, "raft.snapshot_build {} ms", built.as_millis())?;
    writeln!(out, "raft.longest_commit_during_snapshot {} ms", longest.as_millis())?;
    raft.shutdown().await;
    Ok(())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Median and 99th percentile.
fn spread(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// The same pattern of syncs as a commit: write and sync one file, rewrite and sync another.
/// A file that grows costs more to sync than one that had `len` bytes before; sled's grows now
/// and then.
fn raw(dir: &Path, len: u64) -> io::Result<Vec<Duration>> {
    let mut log = File::create(dir.join("raw-log"))?;
    log.write_all(&vec![1; usize::try_from(len).map_err(io::Error::other)?])?;
    log.sync_all()?;
    log.rewind()?;
    let mark = File::create(dir.join("raw-mark"))?;
    mark.write_all_at(&[1; 8192], 0)?;
    mark.sync_all()?;
    let mut times = Vec::with_capacity(SEQUENTIAL);
    for number in 0..SEQUENTIAL {
        let began = Instant::now();
        log.write_all(&[7; 512])?;
        log.sync_data()?;
        let half = if number % 2 == 0 { 0 } else { 4096 };
        mark.write_all_at(&[7; 4096], half)?;
        mark.sync_data()?;
        times.push(began.elapsed());
    }
    Ok(times)
}

fn config(ids: &mut IdSource) -> Group {
    let id = ids.draw();
    let annotations = Annotations { name: format!("config-{id}"), ..Annotations::default() };
    let spec = ConfigSpec { annotations, data: vec![7; 200], templating: None };
    let change = Change::CreateConfig(Box::new(Config { id, meta: Meta::default(), spec }));
    Group { request: ids.draw(), expect: Vec::new(), changes: vec![change] }
}

async fn sequential(raft: &Raft, ids: &mut IdSource) -> Result<Vec<Duration>, Failure> {
    let mut times = Vec::with_capacity(SEQUENTIAL);
    for _ in 0..SEQUENTIAL {
        let group = config(ids);
        let began = Instant::now();
        raft.propose(Lane::Control, group, soon()).await?;
        times.push(began.elapsed());
    }
    Ok(times)
}

/// Creates a second, and processor time of each.
async fn crowd(raft: &Raft) -> Result<(f64, Duration), Failure> {
    let (began, cpu) = (Instant::now(), cpu_time()?);
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let raft = raft.clone();
        clients.spawn(async move {
            let mut ids = IdSource::seeded(client + 1_000);
            let mut done = 0_u32;
            while began.elapsed() < SPELL {
                raft.propose(Lane::Control, config(&mut ids), soon()).await?;
                done += 1;
            }
            Ok::<_, Failure>(done)
        });
    }
    let mut done = 0;
    while let Some(client) = clients.join_next().await {
        done += client??;
    }
    let each = f64::from(done) / began.elapsed().as_secs_f64();
    Ok((each, (cpu_time()? - cpu) / done.max(1)))
}

fn cpu_time() -> Result<Duration, Failure> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(Duration::new(u64::try_from(now.tv_sec)?, u32::try_from(now.tv_nsec)?))
}

/// Creates a service and that many tasks of it.
async fn fill(raft: &Raft, ids: &mut IdSource, tasks: u64) -> Result<(), Failure> {
    let id: ServiceId = ids.draw();
    let annotations = Annotations { name: "filler".into(), ..Annotations::default() };
    let service = Service {
        id,
        meta: Meta::default(),
        spec: ServiceSpec { annotations, ..ServiceSpec::default() },
        previous: None,
        endpoint: Endpoint::default(),
        update_status: None,
        job: None,
    };
    let changes = vec![Change::CreateService(Box::new(service))];
    let first = Group { request: ids.draw(), expect: Vec::new(), changes };
    let spec_version = raft.propose(Lane::Control, first, soon()).await?.version;
    let mut slot = 0;
    while slot < tasks {
        let task = |slot| {
            let template = NewTemplate::Service { service: id, spec_version };
            Change::CreateTask(Box::new(CreateTask {
                id: ids.draw(),
                template,
                slot,
                node: None,
                desired: TaskState::Running,
                replaces: None,
                start_after: Timestamp::default(),
                job_iteration: None,
            }))
        };
        let last = (slot + 2_000).min(tasks);
        let changes = (slot + 1..=last).map(task).collect();
        let group = Group { request: ids.draw(), expect: Vec::new(), changes };
        raft.propose(Lane::Control, group, soon()).await?;
        slot = last;
    }
    Ok(())
}

async fn leads(raft: &Raft) -> Result<(), Failure> {
    let mut leadership = raft.leadership();
    let leads = leadership.wait_for(|it| matches!(it, Leadership::Leader { .. }));
    tokio::time::timeout(Duration::from_secs(60), leads).await??;
    Ok(())
}

/// Longest commit from now until the first snapshot is in use, and how long that took.
async fn during_snapshot(raft: &Raft, ids: &mut IdSource) -> Result<(Duration, Duration), Failure> {
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    while raft.info().snapshot.is_none() {
        let group = config(ids);
        let sent = Instant::now();
        raft.propose(Lane::Control, group, soon()).await?;
        longest = longest.max(sent.elapsed());
    }
    Ok((longest, began.elapsed()))
}
