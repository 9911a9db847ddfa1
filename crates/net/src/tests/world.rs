//! A host of its own for one test: a thread in a fresh network namespace.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use swarm_types::spec::service::Protocol;

use crate::netlink::route::{self, Link, Pair, Route};
use crate::{HostPort, Mode, Net, Options, Wish, netns, sysctl};

const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection that must fail may take to do so.
const SHORT: Duration = Duration::from_millis(300);

/// The host's address on the link to the outside.
pub(super) const HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The address of a machine outside.
pub(super) const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

/// Where a test's node keeps its things.
pub(super) struct World {
    dir: tempfile::TempDir,
}

/// Runs a test on a thread in a network namespace of its own.
pub(super) fn host<F: Future<Output = ()>>(test: impl FnOnce(World) -> F + Send + 'static) {
    let run = move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        // A new namespace takes what the machine has set: no test may rest on that.
        sysctl::write("net/ipv4/ip_forward", "0").unwrap();
        Route::open().unwrap().send([route::set_up("lo")]).unwrap();
        let world = World { dir: tempfile::tempdir().unwrap() };
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(test(world));
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

impl World {
    pub(super) fn options(&self) -> Options {
        Options {
            run_dir: self.dir.path().join("run"),
            state_dir: self.dir.path().join("state"),
            bridge: "swarm0".to_owned(),
            subnet: "172.29.0.0/16".parse().unwrap(),
        }
    }

    pub(super) async fn net(&self) -> Net {
        Net::open(self.options()).await.unwrap()
    }

    pub(super) fn netns(&self, id: &str) -> PathBuf {
        self.options().run_dir.join("netns").join(crate::names::netns(id))
    }

    /// A machine outside, linked with this host, which it has as its router.
    pub(super) fn outside(&self) -> PathBuf {
        let path = self.dir.path().join("outside");
        let network = |ip| ipnetwork::Ipv4Network::new(ip, 24).unwrap();
        std::thread::scope(|scope| {
            let made = scope.spawn(|| {
                let mut host = Route::open().unwrap();
                let netns = netns::make(&path).unwrap();
                let mac = [2, 66, 9, 9, 9, 9];
                let pair = Pair {
                    name: "up0",
                    alias: "",
                    master: 0,
                    netns: std::os::fd::AsFd::as_fd(&netns),
                    inside: "eth0",
                    mac,
                };
                host.send(route::create_pair(&pair)).unwrap();
                let up0 = route::link(&mut host, "up0").unwrap().unwrap().index;
                let own = [route::add_address(up0, network(HOST)), route::set_up("up0")];
                host.send(own).unwrap();
                let mut inside = host.again().unwrap();
                let eth0 = route::link(&mut inside, "eth0").unwrap().unwrap().index;
                let address = route::add_address(eth0, network(CLIENT));
                let default = route::default_route(eth0, HOST);
                inside.send([address, route::set_up("eth0"), default]).unwrap();
            });
            made.join().unwrap();
        });
        path
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let dir = self.options().run_dir.join("netns");
        for file in netns::list(&dir).unwrap_or_default() {
            let _ = netns::remove(&dir.join(file));
        }
        let _ = netns::unprepare(&dir);
        let _ = netns::remove(&self.dir.path().join("outside"));
    }
}

pub(super) fn gateway(ports: &[HostPort]) -> Wish {
    Wish { mode: Mode::Gateway, ports: ports.to_vec() }
}

pub(super) fn port(protocol: Protocol, target: u16, published: u16) -> HostPort {
    HostPort { protocol, target, published }
}

/// Runs `work` on a thread in the namespace bound to `path`, or in this one.
pub(super) fn within<T: Send>(path: Option<&Path>, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let run = move || {
            if let Some(path) = path {
                netns::enter(&netns::find(path).unwrap().unwrap()).unwrap();
            }
            work()
        };
        scope.spawn(run).join().unwrap()
    })
}

/// The links of the namespace bound to `path`, or of this one.
pub(super) fn links(path: Option<&Path>) -> Vec<Link> {
    within(path, || route::links(&mut Route::open().unwrap()).unwrap())
}

/// Serves on all addresses in a namespace: answers each question with who asked.
pub(super) fn serve(path: Option<&Path>, protocol: Protocol, port: u16) {
    let any = SocketAddr::from(([0, 0, 0, 0], port));
    if protocol == Protocol::Udp {
        let socket = within(path, || UdpSocket::bind(any).unwrap());
        std::thread::spawn(move || {
            let mut question = [0; 16];
            while let Ok((_, peer)) = socket.recv_from(&mut question) {
                let _ = socket.send_to(peer.ip().to_string().as_bytes(), peer);
            }
        });
    } else {
        let listener = within(path, || TcpListener::bind(any).unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer(stream));
            }
        });
    }
}

fn answer(mut stream: TcpStream) {
    let Ok(peer) = stream.peer_addr() else { return };
    let mut question = [0; 16];
    while stream.read(&mut question).is_ok_and(|length| length > 0) {
        if stream.write_all(peer.ip().to_string().as_bytes()).is_err() {
            return;
        }
    }
}

/// Asks a server of [`serve`] who it sees.
pub(super) fn ask(path: Option<&Path>, protocol: Protocol, to: SocketAddr) -> io::Result<String> {
    within(path, || {
        if protocol == Protocol::Udp {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.set_read_timeout(Some(SHORT))?;
            socket.connect(to)?;
            socket.send(b"who")?;
            let mut answer = [0; 64];
            let length = socket.recv(&mut answer)?;
            return Ok(String::from_utf8_lossy(&answer[..length]).into_owned());
        }
        let mut stream = TcpStream::connect_timeout(&to, SHORT)?;
        question(&mut stream)
    })
}

/// Asks over a connection that is there already.
pub(super) fn question(stream: &mut TcpStream) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"who")?;
    let mut answer = [0; 64];
    let length = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

/// Waits until `done`, and panics with what it `saw` last when that takes too long.
pub(super) async fn eventually<T: std::fmt::Debug>(
    saw: impl Fn() -> T,
    done: impl Fn(&T) -> bool,
    within: Duration,
) -> Duration {
    let start = Instant::now();
    loop {
        let last = saw();
        if done(&last) {
            return start.elapsed();
        }
        assert!(start.elapsed() < within, "after {within:?} still {last:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
