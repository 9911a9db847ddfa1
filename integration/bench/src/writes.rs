//! Creates a second in a cluster of three managers, beside etcd with three members.
//!
//! Both run at once on the same disk and in the same namespaces, and are written to in turns, so
//! that a host that changes its pace changes it for both. Each client has a connection of its own
//! to the leader and writes one thing after the other: a service without tasks here, over mutual
//! TLS as between managers; a value of the same size there, in clear. A ratio is taken from each
//! round by itself.

mod etcd;

use std::time::{Duration, Instant};

use netns_test::Cluster;
use tokio::task::JoinSet;

use crate::cluster::Host;
use crate::control::{self, Control};
use crate::figure::{note, spread};
use crate::process::cpu;
use crate::{Effort, Outcome};
use etcd::{Etcd, Keys};

const MANAGERS: u8 = 3;
/// How long there may be no leader.
const DEADLINE: Duration = Duration::from_secs(30);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(50);

type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(crate) fn run(effort: Effort) -> Outcome {
    let (rounds, time) = match effort {
        Effort::Full => (7, Duration::from_secs(3)),
        Effort::Smoke => (1, Duration::from_secs(1)),
    };
    let host = Host::look()?;
    let cluster = Cluster::of(MANAGERS, 0);
    let rig = Rig { etcd: Etcd::up(&cluster, MANAGERS)?, cluster };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for clients in [1, 8, 64] {
        let figures = runtime.block_on(rig.compare(clients, rounds, time));
        let mut figures = figures.map_err(|why| why.to_string())?;
        note(format_args!(
            "writes: {clients} clients, n = {rounds} rounds of {} s",
            time.as_secs()
        ));
        let name = |what: &str| format!("writes_{clients}_clients_{what}");
        spread(&name("swarm"), &mut figures.swarm, "1/s");
        spread(&name("etcd"), &mut figures.etcd, "1/s");
        spread(&name("ratio"), &mut figures.ratio, "ratio");
        spread(&name("swarm_entries"), &mut figures.entries, "per write");
        spread(&name("swarm_cpu"), &mut figures.swarm_cpu, "us");
        spread(&name("etcd_cpu"), &mut figures.etcd_cpu, "us");
    }
    host.tell()
}

/// Both clusters; etcd ends before the namespaces it lives in.
struct Rig {
    etcd: Etcd,
    cluster: Cluster,
}

/// One value a round. Processor time is of all members together, for each write; `entries` are
/// those of the raft log, each of which waits for the disks of a quorum in turn.
#[derive(Default)]
struct Figures {
    swarm: Vec<f64>,
    etcd: Vec<f64>,
    ratio: Vec<f64>,
    entries: Vec<f64>,
    swarm_cpu: Vec<f64>,
    etcd_cpu: Vec<f64>,
}

impl Rig {
    async fn compare(
        &self,
        clients: usize,
        rounds: usize,
        time: Duration,
    ) -> Result<Figures, Failure> {
        let pids = self.pids()?;
        let (mut ours, mut theirs) = (self.controls(clients).await?, self.keys(clients).await?);
        let mut figures = Figures::default();
        for round in 0..rounds {
            // Whoever goes second may find the disk busy with what the first left behind.
            let earlier = if round % 2 == 1 {
                Some(storm(&mut theirs, time, &self.etcd.pids()).await?)
            } else {
                None
            };
            let first = applied(&mut ours).await?;
            let swarm = storm(&mut ours, time, &pids).await?;
            let entries = applied(&mut ours).await? - first;
            let etcd = match earlier {
                Some(etcd) => etcd,
                None => storm(&mut theirs, time, &self.etcd.pids()).await?,
            };
            figures.entries.push(entries as f64 / swarm.writes);
            figures.ratio.push(swarm.rate / etcd.rate);
            figures.swarm.push(swarm.rate);
            figures.etcd.push(etcd.rate);
            figures.swarm_cpu.push(swarm.cpu_us);
            figures.etcd_cpu.push(etcd.cpu_us);
        }
        Ok(figures)
    }

    fn pids(&self) -> Result<Vec<u32>, Failure> {
        let pid = |at: u8| {
            let pid = self.cluster.status(&format!("m{at}"))["Pid"].as_u64();
            Ok(u32::try_from(pid.ok_or_else(|| format!("m{at} does not run"))?)?)
        };
        (1..=MANAGERS).map(pid).collect()
    }

    /// Connections to the leader, each used once.
    async fn controls(&self, clients: usize) -> Result<Vec<Control>, Failure> {
        let start = Instant::now();
        let leader = loop {
            if let Some(leader) = self.cluster.leader("m1") {
                break leader;
            }
            if start.elapsed() > DEADLINE {
                return Err("no manager leads".into());
            }
            tokio::time::sleep(PAUSE).await;
        };
        let address =
            self.cluster.status(&leader)["Address"].as_str().unwrap_or_default().to_owned();
        let state = self.cluster.dir().join(leader).join("state");
        let mut controls = Vec::new();
        for _ in 0..clients {
            let control = Control::at(&format!("{address}:2377"), &state);
            let mut control = control.map_err(|why| why.to_string())?;
            control.round_trip().await?;
            controls.push(control);
        }
        Ok(controls)
    }

    async fn keys(&self, clients: usize) -> Result<Vec<Keys>, Failure> {
        let leader = self.etcd.leader().await?;
        let mut keys = Vec::new();
        for _ in 0..clients {
            keys.push(Keys::at(&leader, control::request_size()).await?);
        }
        Ok(keys)
    }
}

/// What a client does again and again.
trait Write: Send + 'static {
    fn write(&mut self) -> impl Future<Output = Result<(), tonic::Status>> + Send;
}

impl Write for Control {
    async fn write(&mut self) -> Result<(), tonic::Status> {
        self.create().await
    }
}

/// Index of the last entry that the leader has applied.
async fn applied(controls: &mut [Control]) -> Result<u64, Failure> {
    let control = controls.first_mut().ok_or("nobody writes")?;
    Ok(control.round_trip().await?)
}

struct Pace {
    writes: f64,
    rate: f64,
    cpu_us: f64,
}

/// All clients write for that long.
async fn storm<W: Write>(
    clients: &mut Vec<W>,
    time: Duration,
    pids: &[u32],
) -> Result<Pace, Failure> {
    let used = || pids.iter().map(|pid| cpu(*pid)).sum::<std::io::Result<Duration>>();
    let (before, start) = (used()?, Instant::now());
    let mut writers = JoinSet::new();
    for mut client in clients.drain(..) {
        writers.spawn(async move {
            let mut written = 0_u32;
            while start.elapsed() < time {
                client.write().await?;
                written += 1;
            }
            Ok::<_, tonic::Status>((client, written))
        });
    }
    let mut all = 0;
    while let Some(ended) = writers.join_next().await {
        let (client, written) = ended??;
        clients.push(client);
        all += written;
    }
    let (elapsed, spent) = (start.elapsed(), used()? - before);
    let all = f64::from(all);
    Ok(Pace {
        writes: all,
        rate: all / elapsed.as_secs_f64(),
        cpu_us: spent.as_secs_f64() * 1e6 / all,
    })
}
