//! What happens to the managers while clients work: drawn from a seed, one fault after another.
//!
//! A fault begins, lasts, and is undone; whether the cluster has recovered when the next one
//! begins is left to chance. Only a member that lost its disk is waited for: two of three would
//! be more than a cluster survives.

mod disk;

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use netns_test::Cluster;
use node_test::{program, until};

use crate::Dice;

/// How far wall clocks jump, in seconds.
pub const JUMP: i64 = 2 * 60 * 60;

/// One fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// `kill -9` of daemons.
    Kill(Vec<String>),
    /// Everything of a node ends at once.
    PowerCut(String),
    /// A daemon is asked to end.
    Stop(String),
    /// A node stands still.
    Pause(String),
    /// Each of these is cut off from all others; `in` or `out` when only one direction is.
    Cut(Vec<String>, Option<&'static str>),
    /// The disk of a node has no room left.
    FullDisk(String),
    /// The disk of a node answers nothing for a while.
    FrozenDisk(String),
    /// The disk of a node takes long for whatever is written.
    SlowDisk(String),
    /// The wall clock of a running daemon jumps by so many seconds.
    Jump(String, i64),
    /// The log of a member is lost, and it joins again.
    Wipe(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Who hurts a cluster.
#[derive(Debug)]
pub struct Nemesis<'a> {
    cluster: &'a Cluster,
    managers: Vec<String>,
    dice: Dice,
    wipes: u32,
}

impl<'a> Nemesis<'a> {
    /// Prepares a cluster with managers m1 to mN: each gets a wall clock of its own, the last one
    /// a small disk of its own.
    ///
    /// # Panics
    ///
    /// When a manager does not come back from that.
    #[must_use]
    pub fn new(cluster: &'a Cluster, managers: u8, seed: u64) -> Self {
        let managers: Vec<String> = (1..=managers).map(|number| format!("m{number}")).collect();
        let nemesis = Self { cluster, managers, dice: Dice::new(seed, 0), wipes: 0 };
        for manager in &nemesis.managers {
            nemesis.dev(&["kill", manager]);
            if manager == nemesis.disk_owner() {
                disk::make(cluster, manager);
            }
            nemesis.set_clock(manager, 0);
            nemesis.start(manager);
            nemesis.await_whole();
        }
        nemesis
    }

    /// Draws the next fault.
    ///
    /// # Panics
    ///
    /// When there are no managers.
    #[must_use]
    pub fn draw(&mut self) -> Fault {
        let one = self.victim();
        match self.dice.within(0..17) {
            0 | 1 => Fault::Kill(vec![one]),
            2 => Fault::Kill(self.managers.clone()),
            // A boot forgets mounts, and `start` after one begins with that.
            3 if one == *self.disk_owner() => Fault::Kill(vec![one]),
            3 => Fault::PowerCut(one),
            4 => Fault::Stop(one),
            5 | 6 => Fault::Pause(one),
            7 | 8 => Fault::Cut(vec![one], None),
            // Nobody has a majority.
            9 => Fault::Cut(self.managers.clone(), None),
            10 => Fault::Cut(vec![one], Some("in")),
            11 => Fault::Cut(vec![one], Some("out")),
            12 => Fault::FullDisk(self.disk_owner().clone()),
            13 => Fault::FrozenDisk(self.disk_owner().clone()),
            14 => Fault::SlowDisk(self.disk_owner().clone()),
            15 => Fault::Jump(one, *self.dice.pick(&[JUMP, -JUMP])),
            _ if one == *self.disk_owner() => Fault::Kill(vec![one]),
            _ => Fault::Wipe(one),
        }
    }

    /// Begins a fault, lets it last for a drawn while, and undoes it.
    ///
    /// # Panics
    ///
    /// When `swarm dev` fails, or a member that lost its log does not join again.
    pub fn strike(&mut self, fault: &Fault) {
        // A leader that is back within its lease leads on, which is a case of its own.
        let length = if self.dice.within(0..3) == 0 { 0..300 } else { 300..6000 };
        let lasting = Duration::from_millis(self.dice.within(length));
        // A fault lasts: there is nothing to wait for.
        let last = || thread::sleep(lasting);
        match fault {
            Fault::Kill(nodes) => {
                self.dev(&["kill", &nodes.join(",")]);
                last();
                nodes.iter().for_each(|node| self.start(node));
            }
            Fault::PowerCut(node) => {
                self.dev(&["kill", "--all", node]);
                last();
                self.start(node);
            }
            Fault::Stop(node) => {
                self.stop(node);
                last();
                self.start(node);
            }
            Fault::Pause(node) => {
                self.dev(&["pause", node]);
                last();
                self.dev(&["resume", node]);
            }
            Fault::Cut(nodes, direction) => {
                nodes.iter().for_each(|node| self.cut(node, *direction));
                last();
                self.dev(&["heal"]);
            }
            Fault::FullDisk(node) => {
                let filled = disk::fill(self.cluster, node);
                last();
                drop(filled);
                // A manager that cannot write its log ends.
                self.start(node);
            }
            Fault::FrozenDisk(node) => {
                let frozen = disk::freeze(self.cluster, node);
                last();
                drop(frozen);
            }
            Fault::SlowDisk(node) => {
                let slowed = disk::slow(self.cluster, node);
                last();
                drop(slowed);
            }
            Fault::Jump(node, seconds) => {
                self.set_clock(node, *seconds);
                last();
                self.set_clock(node, 0);
            }
            Fault::Wipe(node) => self.wipe(node),
        }
    }

    /// Waits until every manager says that all are members and reachable.
    ///
    /// # Panics
    ///
    /// When that does not come in time.
    #[track_caller]
    pub fn await_whole(&self) {
        for manager in &self.managers {
            until(&format!("{manager} reaches every manager"), || {
                let format = "{{.Hostname}} {{.ManagerStatus}}";
                let listed = self.cluster.swarm(manager, &["node", "ls", "--format", format]);
                let fit = |name: &String| {
                    let of = |state| listed.stdout.contains(&format!("{name} {state}"));
                    of("Leader") || of("Reachable")
                };
                if self.managers.iter().all(fit) { Ok(()) } else { Err(listed.to_string()) }
            });
        }
    }

    /// Moves the wall clock of a node's daemon to so many seconds from this machine's.
    ///
    /// # Panics
    ///
    /// When the clock's file cannot be written.
    #[track_caller]
    pub fn set_clock(&self, node: &str, seconds: i64) {
        // Written in place: it is mapped.
        let mut options = fs::File::options();
        let file = options.write(true).create(true).truncate(false).open(self.clock(node));
        let written = file.and_then(|file| {
            std::os::unix::fs::FileExt::write_all_at(&file, &seconds.to_ne_bytes(), 0)
        });
        written.unwrap_or_else(|why| panic!("set the clock of {node}: {why}"));
    }

    /// Half of the time whoever leads.
    fn victim(&mut self) -> String {
        let drawn = self.dice.pick(&self.managers).clone();
        match self.dice.within(0..2) {
            0 => self.cluster.leader(&drawn).unwrap_or(drawn),
            _ => drawn,
        }
    }

    fn disk_owner(&self) -> &String {
        &self.managers[self.managers.len() - 1]
    }

    #[track_caller]
    fn cut(&self, node: &str, direction: Option<&str>) {
        let way = direction.map(|way| ["--one-way", way]);
        let words = ["partition", node].into_iter().chain(way.into_iter().flatten());
        self.dev(&words.collect::<Vec<_>>());
    }

    #[track_caller]
    fn wipe(&mut self, node: &str) {
        self.await_whole();
        self.dev(&["kill", node]);
        self.wipes += 1;
        let state = self.cluster.dir().join(node).join("state");
        let moved = fs::rename(state.join("raft"), state.join(format!("raft.{}", self.wipes)));
        moved.unwrap_or_else(|why| panic!("move the log of {node} away: {why}"));
        self.start(node);
        self.await_whole();
    }

    #[track_caller]
    fn dev(&self, words: &[&str]) {
        let _ = self.cluster.dev(words).ok();
    }

    /// Starts what does not run of a node; a daemon gets a clock of its own.
    #[track_caller]
    fn start(&self, node: &str) {
        disk::mount(self.cluster, node);
        let mut command = self.cluster.command(&["start", node]);
        command.env("LD_PRELOAD", clock_library()).env("SWARM_TEST_CLOCK", self.clock(node));
        let started = command.output().unwrap_or_else(|why| panic!("run swarm: {why}"));
        let said = String::from_utf8_lossy(&started.stderr);
        assert!(started.status.success(), "start {node}: {said}");
    }

    /// Asks a daemon to end, and waits until it has.
    #[track_caller]
    fn stop(&self, node: &str) {
        // One that ended by itself needs no word.
        let Some(pid) = self.cluster.status(node)["Pid"].as_u64() else { return };
        let told = Command::new("kill").arg(pid.to_string()).status();
        assert!(told.is_ok_and(|status| status.success()), "tell {node} to end");
        until(&format!("{node} ends"), || match self.cluster.status(node)["Pid"].as_u64() {
            None => Ok(()),
            Some(pid) => Err(format!("pid {pid}")),
        });
    }

    fn clock(&self, node: &str) -> PathBuf {
        self.cluster.dir().join(node).join("clock")
    }
}

/// Beside the program, where the build puts it.
fn clock_library() -> PathBuf {
    program().with_file_name("libclock.so")
}
