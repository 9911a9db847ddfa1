//! Who hears whom. What is lost is seen by what arrives after it, in order.

use netns_test::{Cluster, Probe};
use serde_json::json;

/// Arguments of `partition`, and who is not heard by whom any more.
type Case = (&'static [&'static str], &'static [(usize, usize)]);

#[test]
fn each_direction_is_cut_off_by_itself_and_healed() {
    let cluster = Cluster::up(2);
    let [m1, w1, w2] = ["m1", "w1", "w2"].map(|node| Probe::new(&cluster, node));
    let all = [&m1, &w1, &w2];
    let everyone_hears = |word: &str| {
        for (from, sender) in all.iter().enumerate() {
            for (to, receiver) in all.iter().enumerate().filter(|(to, _)| *to != from) {
                sender.tell(receiver, &format!("{word} {from}{to}"));
                assert_eq!(receiver.hear(), format!("{word} {from}{to}"));
            }
        }
    };
    everyone_hears("first");

    // Nodes are m1 w1 w2 = 0 1 2; each case lists what is lost.
    let cases: [Case; 5] = [
        (&["w1"], &[(1, 0), (1, 2), (0, 1), (2, 1)]),
        (&["w1", "--one-way", "in"], &[(0, 1), (2, 1)]),
        (&["w1", "--one-way", "out"], &[(1, 0), (1, 2)]),
        (&["w1", "--from", "m1", "--one-way", "out"], &[(1, 0)]),
        (&["w1,w2"], &[(1, 0), (2, 0), (0, 1), (0, 2)]),
    ];
    for (arguments, lost) in cases {
        let _ = cluster.dev(&[&["partition"], arguments].concat()).ok();
        for (from, to) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
            all[from].tell(all[to], "while cut off");
            if !lost.contains(&(from, to)) {
                assert_eq!(all[to].hear(), "while cut off", "{arguments:?} {from}{to}");
            }
        }
        let _ = cluster.dev(&["heal"]).ok();
        everyone_hears("healed");
    }
}

#[test]
fn a_node_that_comes_back_is_still_cut_off() {
    let cluster = Cluster::up(1);
    let _ = cluster.dev(&["kill", "--all", "w1"]).ok();
    let _ = cluster.dev(&["partition", "w1", "--one-way", "out"]).ok();
    let _ = cluster.dev(&["start", "w1"]).ok();
    let [m1, w1] = ["m1", "w1"].map(|node| Probe::new(&cluster, node));
    let cut_off = |node| cluster.status(node)["CutOffFrom"].clone();
    assert_eq!((cut_off("m1"), cut_off("w1")), (json!(["w1 (in)"]), json!(["m1 (out)"])));

    w1.tell(&m1, "lost");
    m1.tell(&w1, "arrives");

    assert_eq!(w1.hear(), "arrives");
    let _ = cluster.dev(&["heal"]).ok();
    assert_eq!(cut_off("w1"), json!([]));
    w1.tell(&m1, "after");
    assert_eq!(m1.hear(), "after");
}
