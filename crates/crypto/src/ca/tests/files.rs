//! The certificate folder, also after a crash at any step of a change.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::*;

const NEXT: &str = ".swarm-node.crt.tmp";

fn folder() -> (TempDir, CertificateFiles) {
    let folder = TempDir::new().unwrap();
    let files = CertificateFiles::open(&folder.path().join("certificates")).unwrap();
    (folder, files)
}

fn at(folder: &TempDir, name: &str) -> std::path::PathBuf {
    folder.path().join("certificates").join(name)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn node() -> NodeCertificate {
    issued(&root(), &identity(1, 2, WORKER))
}

#[test]
fn an_empty_folder_holds_nothing() {
    let (_folder, files) = folder();

    assert!(files.load().unwrap().is_none());
    assert!(files.root().unwrap().is_none());
}

#[test]
fn what_is_saved_is_found_and_the_key_is_the_owners_alone() {
    let (folder, files) = folder();
    let (ca, node) = (root(), node());

    files.save_root(ca.cert_pem()).unwrap();
    files.save(&node).unwrap();

    let found = files.load().unwrap().unwrap();
    assert_eq!(found.certificate, node.certificate);
    assert_eq!(found.chain, node.chain);
    assert_eq!(files.root().unwrap().as_deref(), Some(ca.cert_pem()));
    assert_eq!(mode(&at(&folder, "swarm-node.key")), 0o600);
    assert_eq!(mode(&at(&folder, "swarm-node.crt")), 0o644);
    assert_eq!(mode(&at(&folder, "")), 0o700);
    assert_eq!(fs::read_dir(at(&folder, "")).unwrap().count(), 3);
}

#[test]
fn a_crash_at_any_step_leaves_a_matching_pair() {
    let (before, after) = (node(), node());
    let write = |folder: &TempDir, name: &str, bytes: &[u8]| {
        fs::write(at(folder, name), bytes).unwrap();
    };
    // The steps of a change, in order; a crash comes after each.
    let steps: [(&str, Vec<u8>); 2] = [
        (NEXT, after.chain.clone().into_bytes()),
        ("swarm-node.key", after.key.to_pem().expose().to_vec()),
    ];
    for done in 0..=steps.len() {
        let (folder, files) = folder();
        files.save(&before).unwrap();
        for (name, bytes) in &steps[..done] {
            write(&folder, name, bytes);
        }

        let found = files.load().unwrap().unwrap();

        let expected = if done == steps.len() { &after } else { &before };
        assert_eq!(found.certificate, expected.certificate, "after {done} steps");
        assert_eq!(files.load().unwrap().unwrap().chain, expected.chain, "after {done} steps");
    }
}

#[test]
fn the_first_pair_survives_a_crash_too() {
    let (folder, files) = folder();
    let node = node();
    fs::write(at(&folder, NEXT), &node.chain).unwrap();
    assert!(files.load().unwrap().is_none());

    fs::write(at(&folder, "swarm-node.key"), node.key.to_pem().expose()).unwrap();

    assert_eq!(files.load().unwrap().unwrap().chain, node.chain);
    assert!(!at(&folder, NEXT).exists());
}

#[test]
fn a_half_written_next_certificate_does_no_harm() {
    let (folder, files) = folder();
    let (before, after) = (node(), node());
    files.save(&before).unwrap();
    fs::write(at(&folder, NEXT), &after.chain[..40]).unwrap();

    assert_eq!(files.load().unwrap().unwrap().chain, before.chain);
    files.save(&after).unwrap();
    assert_eq!(files.load().unwrap().unwrap().chain, after.chain);
}

#[test]
fn a_pair_that_does_not_match_is_refused_by_name() {
    let (folder, files) = folder();
    files.save(&node()).unwrap();
    fs::write(at(&folder, "swarm-node.crt"), node().chain).unwrap();

    let refused = files.load().unwrap_err();

    assert!(matches!(refused, FilesError::Damaged { .. }));
    assert!(refused.to_string().contains("swarm-node.crt"), "{refused}");
}

#[test]
fn a_missing_or_damaged_key_is_refused_by_name() {
    let (folder, files) = folder();
    files.save(&node()).unwrap();

    fs::write(at(&folder, "swarm-node.key"), "not a key").unwrap();
    let damaged = files.load().unwrap_err().to_string();
    fs::remove_file(at(&folder, "swarm-node.key")).unwrap();
    let missing = files.load().unwrap_err().to_string();

    assert!(damaged.contains("swarm-node.key is not a node's key"), "{damaged}");
    assert!(missing.contains("swarm-node.key is missing"), "{missing}");
}
