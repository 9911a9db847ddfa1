//! Who is not let into a cluster, or out of it, and what he is told.

use node_test::Node;

use crate::workers::{founded, strangers, token};

const MANAGER: &str = "10.77.0.1:2377";

#[track_caller]
fn refused(node: &Node, line: &[&str], word: &str) {
    let ran = node.swarm(line);
    assert!(ran.refusal().contains(word), "{word:?} in {ran}");
    assert!(ran.stdout.is_empty() && !ran.stderr.contains("panicked"), "{ran}");
}

#[test]
fn a_node_joins_only_with_the_present_token_of_the_cluster_it_asks() {
    let (manager, stranger) = founded();
    let (alone, old) = (Node::founded(), token(&manager));
    let join = |token: &str, address: &str, word: &str| {
        refused(&stranger, &["join", "--token", token, address], word);
    };

    let rotated = manager.swarm(&["join-token", "--rotate", "worker"]);
    assert!(rotated.ok().starts_with("Successfully rotated worker join token."), "{rotated}");
    assert!(rotated.ok().contains(&token(&manager)), "{rotated}");
    assert_ne!(token(&manager), old);

    join(&old, MANAGER, "valid join token");
    join(&token(&alone), MANAGER, "root with the digest of the join token");
    join("SWMTKN-1-abc", MANAGER, "not a join token");
    join(&token(&manager), "10.77.0.2:2377", "own address");
    join(&token(&manager), "10.77.0.1:http", "expected HOST:PORT");
    join(&token(&manager), "10.77.0.1:1", "Connection refused");
    assert_eq!(manager.swarm(&["node", "ls"]).rows().len(), 1);

    let joined = stranger.swarm(&["join", "--token", &token(&manager), MANAGER]);
    assert_eq!(joined.ok(), "This node joined a swarm as a worker.");
    join(&token(&manager), MANAGER, "already part of a swarm");
}

#[test]
fn who_is_in_no_cluster_or_manages_one_does_not_just_leave() {
    let (manager, stranger) = strangers();

    refused(&stranger, &["leave"], "not part of a swarm");
    refused(&stranger, &["join-token", "worker"], "not a swarm manager");
    let _ = manager.swarm(&["init"]).ok();
    refused(&manager, &["leave"], "participating as a manager");
    refused(&manager, &["node", "rm", "--force", "self"], "is a cluster manager");
    assert!(manager.swarm(&["info"]).ok().contains("Swarm: active"));

    assert_eq!(manager.swarm(&["leave", "--force"]).ok(), "Node left the swarm.");
    assert!(manager.swarm(&["info"]).ok().contains("Swarm: inactive"));
    let _ = manager.stop_daemon();
    manager.start_daemon();
    assert!(manager.swarm(&["info"]).ok().contains("Swarm: inactive"));
    assert!(manager.swarm(&["init"]).ok().contains("is now a manager"));
}
