//! `cost [COUNT [COMMAND...]]`: what attaching and detaching COUNT tasks costs on this host, as
//! lines of `name value unit`. Run as root in a network namespace of its own, such as
//! `unshare --net`. COMMAND runs while the tasks are attached.

use std::io::{Write, stdout};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use swarm_net::{HostPort, Mode, Net, Options, Wish};
use swarm_types::spec::service::Protocol;
use tokio::task::JoinSet;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let count = args.next().map_or(Ok(100), |count| count.parse())?;
    let dir = tempfile::tempdir()?;
    let options = Options {
        run_dir: dir.path().join("run"),
        state_dir: dir.path().join("state"),
        bridge: "swarm0".to_owned(),
        subnet: "172.29.0.0/16".parse()?,
    };
    let net = Net::open(options.clone()).await?;
    let port = HostPort { protocol: Protocol::Tcp, target: 80, published: 0 };
    let wish = Wish { mode: Mode::Gateway, ports: vec![port] };

    let mark = Mark::now()?;
    let mut work = JoinSet::new();
    for number in 0..count {
        let (net, wish) = (net.clone(), wish.clone());
        work.spawn(async move { net.attach(&format!("t{number}"), &wish).await.map(drop) });
    }
    finish(work).await?;
    mark.print("attach", count)?;
    if let Some(program) = args.next() {
        Command::new(program).args(args).status()?;
    }
    let mark = Mark::now()?;
    let mut work = JoinSet::new();
    for number in 0..count {
        let net = net.clone();
        work.spawn(async move { net.detach(&format!("t{number}")).await });
    }
    finish(work).await?;
    mark.print("detach", count)?;
    drop(net);
    Ok(Net::purge(options).await?)
}

async fn finish(mut work: JoinSet<Result<(), swarm_net::NetError>>) -> Result<(), Failure> {
    while let Some(done) = work.join_next().await {
        done??;
    }
    Ok(())
}

struct Mark {
    wall: Instant,
    cpu: Duration,
}

impl Mark {
    fn now() -> Result<Self, Failure> {
        Ok(Self { wall: Instant::now(), cpu: cpu()? })
    }

    fn print(&self, name: &str, count: u32) -> Result<(), Failure> {
        let wall = self.wall.elapsed() / count.max(1);
        let spent = (cpu()? - self.cpu) / count.max(1);
        writeln!(stdout(), "{name}_wall {} us/task", wall.as_micros())?;
        Ok(writeln!(stdout(), "{name}_cpu {} us/task", spent.as_micros())?)
    }
}

fn cpu() -> Result<Duration, Failure> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    let total = micros(usage.user_time()) + micros(usage.system_time());
    Ok(Duration::from_micros(total.cast_unsigned()))
}
