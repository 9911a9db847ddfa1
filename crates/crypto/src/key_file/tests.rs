use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::seal::{Kind, Place};

const PLACE: Place =
    Place { store: [1; 16], kind: Kind::Vote, index: 0, term: 0, chunk: 0, chunks: 1 };

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("key");
    (folder, path)
}

fn rotating() -> KeyFile {
    KeyFile {
        current: Numbered { id: 1, key: Key::new([0xab; KEY_LEN]) },
        pending: Some(Numbered { id: 2, key: Key::new([0xcd; KEY_LEN]) }),
    }
}

/// A file with these lines and the right sum.
fn with_sum(lines: &str) -> String {
    let mut text = lines.to_owned();
    text.push_str("sum ");
    push_hex(&mut text, &Sha256::digest(lines));
    text.push('\n');
    text
}

#[test]
fn the_key_made_first_is_the_key_found_later() {
    let (_folder, path) = folder();

    let made = KeyFile::load_or_create(&path).unwrap();

    let sealed = made.sealer().seal(&PLACE, b"vote");
    let found = KeyFile::load_or_create(&path).unwrap();
    assert_eq!(found.sealer().open(&PLACE, &sealed).as_deref(), Ok(&b"vote"[..]));
    assert_eq!(KeyFile::load(&path).unwrap(), made);
}

#[test]
fn only_the_owner_can_read_it_whatever_was_left_behind() {
    let (folder, path) = folder();
    fs::write(folder.path().join(".key.tmp"), "left by a crash").unwrap();

    KeyFile::load_or_create(&path).unwrap();

    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_missing_file_is_not_made_up_for_a_store_that_exists() {
    let (_folder, path) = folder();

    let refusal = KeyFile::load(&path).unwrap_err();

    assert!(matches!(refusal, KeyFileError::Missing { .. }));
    assert!(refusal.to_string().contains(&path.display().to_string()));
    assert!(!path.exists());
}

#[test]
fn a_damaged_file_is_refused_and_left_alone() {
    let (_folder, path) = folder();
    fs::write(&path, "swarm-key-file 1\n").unwrap();

    let refusal = KeyFile::load_or_create(&path).unwrap_err();

    let text = refusal.to_string();
    assert!(text.contains(&path.display().to_string()) && text.contains("backup"), "{text}");
    assert_eq!(fs::read(&path).unwrap(), b"swarm-key-file 1\n");
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    assert_eq!(parse(b"swarm-key-file 2\nanything\n"), Err(Newer(2)));
}

#[test]
fn format_0_never_was_so_no_newer_version_is_asked_for() {
    assert!(matches!(parse(b"swarm-key-file 0\nanything\n"), Err(Damaged(_))));
}

#[test]
fn a_wrapped_key_is_known_as_locked() {
    let text = with_sum("swarm-key-file 1\nkey 1 wrapped 17 00ff\n");

    assert_eq!(parse(text.as_bytes()), Err(Locked));
}

#[test]
fn a_pending_key_seals_and_the_current_one_still_opens() {
    let file = parse(rotating().render().as_bytes()).unwrap();
    let before = Sealer::new(&Key::new([0xab; KEY_LEN]), 1).seal(&PLACE, b"old");

    let sealer = file.sealer();

    assert_eq!(sealer.key_id(), 2);
    assert_eq!(sealer.open(&PLACE, &before).as_deref(), Ok(&b"old"[..]));
}

#[test]
fn lines_it_does_not_know_are_refused_even_with_the_right_sum() {
    let key = format!("key 1 clear {}\n", "ab".repeat(KEY_LEN));
    for extra in ["later 1\n", "\n", &key, &key.replace("key", "pending")] {
        let text = with_sum(&format!("swarm-key-file 1\n{key}{extra}"));
        assert!(matches!(parse(text.as_bytes()), Err(Damaged(_))), "{extra:?}");
    }
}

#[test]
fn neither_debug_nor_errors_show_a_key() {
    let shown = format!("{:?}", rotating());

    assert!(!shown.contains("171") && !shown.contains("abab"), "{shown}");
}

proptest! {
    #[test]
    fn what_is_written_is_read(id in 0..u32::MAX, key: [u8; KEY_LEN], next: Option<[u8; KEY_LEN]>) {
        let pending = next.map(|key| Numbered { id: id + 1, key: Key::new(key) });
        let file = KeyFile { current: Numbered { id, key: Key::new(key) }, pending };

        prop_assert_eq!(parse(file.render().as_bytes()), Ok(file));
    }

    #[test]
    fn any_change_of_one_byte_is_refused(at: prop::sample::Index, to: u8) {
        let mut bytes = rotating().render().as_bytes().to_vec();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);

        bytes[at] = to;

        prop_assert!(parse(&bytes).is_err());
    }

    #[test]
    fn a_cut_file_is_refused(at: prop::sample::Index) {
        let text = rotating().render();

        prop_assert!(parse(&text.as_bytes()[..at.index(text.len())]).is_err());
    }

    #[test]
    fn foreign_bytes_never_panic(bytes: Vec<u8>, lines in "swarm-key-file 1\n(key [ -~é]*\n){0,3}") {
        let _ = parse(&bytes);
        let _ = parse(with_sum(&lines).as_bytes());
    }
}
