//! Out of date, in the two ways a manager of a whole cluster can be: one at a time, on purpose.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use history::nemesis::{JUMP, Nemesis};
use history::op::Mark;
use history::{Answer, Manager, Read};
use netns_test::Cluster;
use node_test::until;
use swarm_types::{IdSource, RequestId, ServiceId, Timestamp};
use tokio::runtime::{Builder, Runtime};

const NODES: [&str; 3] = ["m1", "m2", "m3"];
const WRITE: Duration = Duration::from_secs(2);
/// A read without a quorum ends by itself before that.
const READ: Duration = Duration::from_secs(5);

struct World {
    cluster: Cluster,
    runtime: Runtime,
}

impl World {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { cluster: Cluster::of(3, 0), runtime }
    }

    fn socket(&self, node: &str) -> PathBuf {
        self.cluster.dir().join(node).join("run/swarm.sock")
    }

    /// Who leads, and the others.
    fn roles(&self) -> (String, Vec<String>) {
        let leader = until("somebody leads", || {
            self.cluster.leader("m1").ok_or_else(|| "nobody".to_owned())
        });
        let all = NODES.map(str::to_owned);
        (leader.clone(), all.into_iter().filter(|node| *node != leader).collect())
    }

    /// Creates an object through one of these managers, as soon as one can.
    fn create(&self, nodes: &[&String], name: &str) -> ServiceId {
        let request: RequestId = IdSource::system().draw();
        until(&format!("{name} is created"), || {
            for node in nodes {
                let answer = self.runtime.block_on(async {
                    let manager = Manager::new(self.socket(node));
                    manager.create(WRITE, request, name, Mark(1)).await
                });
                if let Answer::Yes(_) = answer {
                    return Ok(request.created());
                }
            }
            Err("no answer".to_owned())
        })
    }

    /// The object as a manager has it now; an error when it does not say.
    fn read(&self, node: &str, id: ServiceId) -> Result<Option<Read>, String> {
        let manager = || Manager::new(self.socket(node));
        match self.runtime.block_on(async { manager().get(READ, id).await }) {
            Answer::Yes(read) => Ok(read),
            other => Err(format!("{other:?}")),
        }
    }

    fn has(&self, node: &str, id: ServiceId) -> Result<bool, String> {
        self.read(node, id).map(|read| read.is_some())
    }

    /// When an object that is created now is said to be written.
    fn stamp(&self, name: &str) -> Timestamp {
        let id = self.create(&NODES.map(str::to_owned).each_ref(), name);
        until("the object is read", || {
            self.read("m1", id)?.map(|read| read.written_at).ok_or_else(|| "none".to_owned())
        })
    }

    /// Waits until a manager has the object; an answer of before its creation is none.
    fn catches_up(&self, node: &str, id: ServiceId) {
        until("the manager catches up", || match self.has(node, id)? {
            true => Ok(()),
            false => panic!("{node} answers as of before the write"),
        });
    }
}

#[test]
fn a_follower_that_hears_nothing_answers_nothing_old() {
    let world = World::new();
    for direction in [["--one-way", "in"].as_slice(), &[]] {
        let (leader, followers) = world.roles();
        let old = &followers[0];
        let _ = world.cluster.dev(&[["partition", old].as_slice(), direction].concat()).ok();

        let id = world.create(&[&leader, &followers[1]], &format!("new-{}", direction.len()));

        assert!(world.has(old, id).is_err(), "{direction:?}");
        let stale = world.cluster.swarm(old, &["service", "ls", "--stale", "-q"]);
        assert!(!stale.ok().contains(&id.as_str()[..12]), "{direction:?}");
        let _ = world.cluster.dev(&["heal"]).ok();
        world.catches_up(old, id);
    }
}

/// Questions reach it while it stands still, and it gets to them before it hears of anything.
#[test]
fn a_leader_that_stood_still_answers_nothing_old() {
    let world = World::new();
    for round in 0..3 {
        let (leader, followers) = world.roles();
        let _ = world.cluster.dev(&["pause", &leader]).ok();
        let id = world.create(&followers.iter().collect::<Vec<_>>(), &format!("new-{round}"));

        let ask = |socket| {
            thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async { Manager::new(socket).get(READ, id).await })
            })
        };
        let asked: Vec<_> = (0..8).map(|_| ask(world.socket(&leader))).collect();
        let _ = world.cluster.dev(&["resume", &leader]).ok();

        for answer in asked {
            let answer = answer.join().unwrap();
            assert!(!matches!(answer, Answer::Yes(None)), "round {round}: {answer:?}");
        }
        world.catches_up(&leader, id);
    }
}

/// The first attempt was done; its repetitions do nothing, wherever they arrive.
#[test]
fn a_repeated_write_is_done_once_by_whichever_manager() {
    let world = World::new();
    let mut ids = IdSource::system();
    let [create, first, second, remove]: [RequestId; 4] = std::array::from_fn(|_| ids.draw());

    world.runtime.block_on(async {
        let [m1, m2, m3] = NODES.map(|node| Manager::new(world.socket(node)));
        let made = m1.create(WRITE, create, "once", Mark(1)).await;
        let Answer::Yes(Some(made)) = made else { panic!("{made:?}") };
        let updated = m2.update(WRITE, first, &made, Mark(2)).await;
        let Answer::Yes(Some(updated)) = updated else { panic!("{updated:?}") };
        let last = m3.update(WRITE, second, &updated, Mark(3)).await;
        assert!(matches!(last, Answer::Yes(_)), "{last:?}");

        for manager in [&m1, &m2, &m3] {
            let again = manager.create(WRITE, create, "once", Mark(1)).await;
            assert!(matches!(again, Answer::Yes(_)), "{again:?}");
            let again = manager.update(WRITE, first, &made, Mark(2)).await;
            assert!(matches!(again, Answer::Yes(_)), "{again:?}");
            let now = manager.get(READ, made.id).await;
            let Answer::Yes(Some(now)) = now else { panic!("{now:?}") };
            assert_eq!(now.mark, Mark(3));
        }
        for manager in [&m2, &m3] {
            let removed = manager.remove(WRITE, remove, made.id).await;
            assert!(matches!(removed, Answer::Yes(_)), "{removed:?}");
        }
        let again = m1.create(WRITE, create, "once", Mark(1)).await;
        assert!(matches!(again, Answer::Yes(None)), "{again:?}");
        let all = m1.list(READ).await;
        assert_eq!(all, Answer::Yes(Vec::new()));
    });
}

/// Runs in which clocks jump stand on this.
#[test]
fn daemons_read_the_clock_that_jumps_and_the_log_never_goes_back() {
    let world = World::new();
    let nemesis = Nemesis::new(&world.cluster, 3, 4);
    let (begun, jump) = (Timestamp::now(), Duration::from_secs(JUMP.unsigned_abs()));
    assert!(world.stamp("now").since(begun) < jump);

    NODES.iter().for_each(|node| nemesis.set_clock(node, JUMP));
    let ahead = world.stamp("ahead");
    NODES.iter().for_each(|node| nemesis.set_clock(node, 0));
    let back = world.stamp("back");

    assert!(ahead.since(begun) >= jump, "{begun:?}, then {ahead:?}");
    assert!(back >= ahead && back.since(ahead) < jump, "{ahead:?}, then {back:?}");
}
