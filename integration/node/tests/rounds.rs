//! Daemon and containerd are killed under load, again and again; tasks do not notice.
//!
//! A round kills at a moment that tends to hurt: when a container has just ended, when one was
//! just started, when the daemon has just come back. What the containers themselves wrote down
//! is compared with what the swarm says of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use node_test::{Node, Process, Row, until};

/// How many times the daemon is killed, when the environment does not say.
const ROUNDS: usize = 6;
/// Tasks whose containers keep ending.
const MORTALS: usize = 2;
/// States of a task before its end.
const LIVE: [&str; 8] =
    ["New", "Pending", "Assigned", "Accepted", "Preparing", "Ready", "Starting", "Running"];

/// Ends with a code of its own, after it wrote down which.
const MORTAL: &str = r#"sleep 0.7
[ -e /out/stop ] && exec sleep 100000
random=$(cat /proc/sys/kernel/random/uuid)
code=$((0x${random%"${random#??}"} % 100 + 20))
echo "$TASK $code" >> /out/exits
exit $code"#;
/// Writes numbered lines, and in the end how many there are.
const WRITER: &str = r#"n=0
while ! [ -e /out/stop ]; do
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do n=$((n+1)); echo $n; done
  usleep 10000
done
echo $n > /out/part && mv /out/part /out/lines
exec sleep 100000"#;

/// When the daemon is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// A container has just ended.
    End,
    /// A container was just started.
    Start,
    /// The daemon has just come back.
    Return,
}

#[test]
fn kills_disturb_no_task() {
    let rounds = std::env::var("SWARM_KILL_ROUNDS").map(|rounds| rounds.parse().unwrap());
    let rounds: usize = rounds.unwrap_or(ROUNDS);
    let of_containerd = (rounds / 5).max(2);
    let node = Node::ready();
    let mut load = Load::start(&node);

    for round in 0..rounds {
        let moment = [Moment::End, Moment::Start, Moment::Return][round % 3];
        load.await_moment(moment);
        node.kill_daemon();
        node.start_daemon();
        if matches!(moment, Moment::Return) {
            node.kill_daemon();
            node.start_daemon();
        }
        load.check(&format!("daemon killed, round {round}: {moment:?}"));
        if (round + 1) * of_containerd / rounds > round * of_containerd / rounds {
            load.await_moment([Moment::End, Moment::Start][round % 2]);
            load.cut(|| node.restart_containerd());
            load.check(&format!("containerd killed, round {round}"));
            load.cut(|| stop_and_start(&node));
            load.check(&format!("orderly stop, round {round}"));
        }
    }

    load.finish();
}

/// Containers end and containerd restarts while no daemon is there.
fn stop_and_start(node: &Node) {
    let status = node.stop_daemon();
    assert!(status.success(), "{status}\n{}", node.log());
    node.restart_containerd();
    node.start_daemon();
}

/// Services of all kinds, and what is known of their tasks.
struct Load<'a> {
    node: &'a Node,
    /// Where containers write things down.
    out: PathBuf,
    /// Containers that run on, by task.
    steady: Vec<(String, Process)>,
    /// How the tasks of `mortal` that ended did so, as the swarm says.
    told: BTreeMap<String, (String, String)>,
    /// Tasks of `mortal` that were there while containerd was not.
    cut: BTreeSet<String>,
}

impl<'a> Load<'a> {
    fn start(node: &'a Node) -> Self {
        let out = node.dir().join("out");
        fs::create_dir(&out).unwrap();
        let mount = format!("type=bind,source={},target=/out", out.display());
        let create = |name: &str, flags: &[&str], command: &[&str]| {
            let line = ["service", "create", "--detach", "--restart-delay", "0s", "--name", name];
            let _ = node.swarm(&[&line[..], flags, &["busybox:test"], command].concat()).ok();
        };
        create("calm", &["--replicas", "2"], &["sleep", "100000"]);
        let health = ["--health-cmd", "true", "--health-interval", "200ms", "--health-retries"];
        create("checked", &[&health[..], &["2"]].concat(), &["sleep", "100000"]);
        create("writer", &["--mount", &mount], &["sh", "-c", WRITER]);
        let names = [("calm", 2), ("checked", 1), ("writer", 1)];
        let rows = names.map(|(name, count)| node.running(name, count)).concat();
        let steady = rows.into_iter().map(|row| (row.id.clone(), node.process(&row.id))).collect();
        let mortals = MORTALS.to_string();
        let flags = ["--mount", &mount, "--env", "TASK={{.Task.ID}}", "--replicas", &mortals];
        create("mortal", &flags, &["sh", "-c", MORTAL]);
        Self { node, out, steady, told: BTreeMap::new(), cut: BTreeSet::new() }
    }

    fn await_moment(&mut self, moment: Moment) {
        let (ended, running) = (self.wrote().len(), self.node.processes());
        until(&format!("{moment:?}"), || {
            self.look();
            let come = match moment {
                Moment::End => self.wrote().len() > ended,
                Moment::Start => self.node.processes().iter().any(|now| !running.contains(now)),
                Moment::Return => true,
            };
            if come { Ok(()) } else { Err(format!("{running:?}")) }
        });
    }

    /// Has containerd killed, and notes whose start that may cut off.
    fn cut(&mut self, kill: impl FnOnce()) {
        self.look();
        let over: BTreeSet<String> = self.told.keys().cloned().collect();
        kill();
        let rows = until("the daemon serves", || {
            self.node.history_now("mortal").ok_or_else(|| self.node.log())
        });
        let there = rows.into_iter().map(|row| row.id);
        self.cut.extend(there.filter(|task| !over.contains(task)));
    }

    /// What runs, runs on; what ended so far is told.
    fn check(&mut self, round: &str) {
        until(&format!("{round}: the same processes run"), || {
            let now = self.node.processes();
            let kept = self.steady.iter().all(|process| now.contains(process));
            if kept { Ok(()) } else { Err(format!("{now:?} instead of {:?}", self.steady)) }
        });
        let wrote = self.wrote();
        until(&format!("{round}: every end is told"), || {
            self.look();
            let missing: Vec<_> = wrote.iter().filter(|end| !self.tells(end)).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} missing")) }
        });
    }

    fn finish(mut self) {
        fs::write(self.out.join("stop"), "").unwrap();
        let lines: u64 = until("the writer is done", || {
            let lines = fs::read_to_string(self.out.join("lines")).map_err(|why| why.to_string());
            lines.map(|lines| lines.trim().parse().unwrap())
        });
        until("the last containers run on", || {
            self.look();
            let rows = self.node.running("mortal", MORTALS);
            let calm = rows.iter().all(|row| self.node.process(&row.id).arguments()[0] == "sleep");
            if calm { Ok(()) } else { Err(format!("{rows:?}")) }
        });
        self.check("in the end");
        let wrote = self.wrote();
        // A container whose start died with containerd never came to write anything down.
        let known = |task: &String| wrote.contains_key(task) || self.cut.contains(task);
        let unknown: Vec<_> = self.told.iter().filter(|(task, _)| !known(task)).collect();
        assert!(unknown.is_empty(), "ends of containers that never ended: {unknown:?}");
        for name in ["calm", "checked", "writer"] {
            assert!(self.node.history(name).iter().all(Row::runs), "{name} has a history");
        }
        assert_eq!(self.node.processes().len(), self.steady.len() + MORTALS, "strays");
        let log = until("the last line is in the log", || {
            let log = self.node.swarm(&["service", "logs", "--raw", "writer"]).ok().to_owned();
            let last = log.lines().next_back().unwrap_or_default().to_owned();
            if last == lines.to_string() { Ok(log) } else { Err(last) }
        });
        let mut expected = 1..=lines;
        for line in log.lines() {
            assert_eq!(Some(line.to_owned()), expected.next().map(|it| it.to_string()));
        }
    }

    /// Takes down which tasks have ended. The daemon may not serve just now.
    fn look(&mut self) {
        let ended = self.node.history_now("mortal").unwrap_or_default();
        for row in ended.into_iter().filter(|row| !LIVE.contains(&row.current.as_str())) {
            let now = (row.current, row.error);
            let before = self.told.insert(row.id.clone(), now.clone());
            assert!(before.as_ref().is_none_or(|it| *it == now), "{}: {before:?} {now:?}", row.id);
        }
    }

    fn tells(&self, (task, code): &(&String, &String)) -> bool {
        self.told.get(*task).is_some_and(|(state, error)| {
            let wanted = format!("task: non-zero exit ({code})");
            assert!(state == "Failed" && *error == wanted, "{task}: {state} {error:?}, {code}");
            true
        })
    }

    /// The exit codes as the containers wrote them down, by task.
    fn wrote(&self) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.out.join("exits")).unwrap_or_default();
        let mut wrote = BTreeMap::new();
        for line in text.lines() {
            let (task, code) = line.split_once(' ').unwrap();
            let before = wrote.insert(task.to_owned(), code.to_owned());
            assert!(before.is_none(), "the container of {task} ran twice");
        }
        wrote
    }
}
