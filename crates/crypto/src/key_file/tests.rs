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
        lock: None,
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
    assert_eq!(parse(b"swarm-key-file 2\nanything\n", None), Err(Newer(2)));
}

#[test]
fn format_0_never_was_so_no_newer_version_is_asked_for() {
    assert!(matches!(parse(b"swarm-key-file 0\nanything\n", None), Err(Damaged(_))));
}

#[test]
fn a_wrapped_key_is_known_as_locked() {
    let (mark, key) = ("0f".repeat(8), "0f".repeat(WRAPPED_LEN));
    let text = with_sum(&format!("swarm-key-file 1\nkey 1 wrapped {mark} {key}\n"));

    assert_eq!(parse(text.as_bytes(), None), Err(Locked));
}

#[test]
fn a_pending_key_seals_and_the_current_one_still_opens() {
    let file = parse(rotating().render().as_bytes(), None).unwrap();
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
        assert!(matches!(parse(text.as_bytes(), None), Err(Damaged(_))), "{extra:?}");
    }
}

#[test]
fn neither_debug_nor_errors_show_a_key() {
    let shown = format!("{:?}", rotating());

    assert!(!shown.contains("171") && !shown.contains("abab"), "{shown}");
}

#[test]
fn a_locked_file_opens_with_its_unlock_key_only() {
    let (_folder, path) = folder();
    let (right, wrong) = (UnlockKey::generate(), UnlockKey::generate());
    let mut file = rotating();

    file.relock(&path, Some(right.clone())).unwrap();

    assert_eq!(KeyFile::unlock(&path, &right).unwrap(), file);
    assert!(file.is_under(Some(&right)) && !file.is_under(Some(&wrong)) && !file.is_under(None));
    assert!(matches!(KeyFile::load(&path), Err(KeyFileError::Locked { .. })));
    assert!(matches!(KeyFile::load_or_create(&path), Err(KeyFileError::Locked { .. })));
    assert!(matches!(KeyFile::unlock(&path, &wrong), Err(KeyFileError::WrongKey { .. })));
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("abab") && !text.contains("clear"), "{text}");
}

#[test]
fn taking_the_lock_off_leaves_the_keys_as_they_were() {
    let (_folder, path) = folder();
    let (first, second) = (UnlockKey::generate(), UnlockKey::generate());
    let mut file = rotating();
    for lock in [Some(first.clone()), Some(second), None] {
        file.relock(&path, lock).unwrap();
    }

    assert_eq!(KeyFile::load(&path).unwrap(), rotating());
    // A file in clear needs no key, so any does.
    assert_eq!(KeyFile::unlock(&path, &first).unwrap(), rotating());
}

/// A replacement stops at each of its steps: nothing written, a part of the next file, the whole
/// of it, and the rename. The file opens with the key before, and after the rename with the next.
#[test]
fn a_relock_cut_short_opens_with_the_key_before_or_after() {
    let (folder, path) = folder();
    let (before, after) = (UnlockKey::generate(), UnlockKey::generate());
    let mut file = rotating();
    file.relock(&path, Some(after.clone())).unwrap();
    let next = fs::read(&path).unwrap();
    file.relock(&path, Some(before.clone())).unwrap();
    let beside = folder.path().join(".key.tmp");

    for written in [0, 1, next.len() / 2, next.len()] {
        fs::write(&beside, &next[..written]).unwrap();
        let found = KeyFile::unlock(&path, &before).unwrap();
        assert_eq!((&found.current, &found.pending), (&file.current, &file.pending));
    }
    fs::rename(&beside, &path).unwrap();

    assert_eq!(KeyFile::unlock(&path, &after).unwrap().current, file.current);
    assert!(matches!(KeyFile::unlock(&path, &before), Err(KeyFileError::WrongKey { .. })));
}

#[test]
fn a_relock_that_fails_leaves_the_lock_before() {
    let (folder, path) = folder();
    let mut file = rotating();
    let lock = UnlockKey::generate();
    file.relock(&path, Some(lock.clone())).unwrap();
    // Nothing can be written beside it.
    fs::create_dir(folder.path().join(".key.tmp")).unwrap();

    let refusal = file.relock(&path, None).unwrap_err();

    assert!(matches!(refusal, KeyFileError::Io { action: "write", .. }));
    assert!(file.is_under(Some(&lock)));
    assert_eq!(KeyFile::unlock(&path, &lock).unwrap(), file);
}

#[test]
fn a_rotation_seals_with_a_key_that_the_file_before_did_not_have_and_then_drops_that_one() {
    let (_folder, path) = folder();
    let mut file = KeyFile::load_or_create(&path).unwrap();
    let (before, lock) = (file.sealer(), UnlockKey::generate());
    let old = before.seal(&PLACE, b"old");

    file.rotate(&path, lock.clone()).unwrap();

    let found = KeyFile::unlock(&path, &lock).unwrap();
    assert!(found.is_rotating() && found == file);
    let new = found.sealer().seal(&PLACE, b"new");
    assert_eq!(found.sealer().open(&PLACE, &old).as_deref(), Ok(&b"old"[..]));
    assert_eq!(before.open(&PLACE, &new), Err(crate::seal::OpenError::UnknownKey { found: 2 }));
    // It goes on with the key it has, under whatever unlock key.
    let other = UnlockKey::generate();
    file.rotate(&path, other.clone()).unwrap();
    assert_eq!(file.pending, found.pending);

    file.finish(&path).unwrap();

    let found = KeyFile::unlock(&path, &other).unwrap();
    assert!(!found.is_rotating() && found == file);
    assert_eq!(found.sealer().open(&PLACE, &new).as_deref(), Ok(&b"new"[..]));
    assert!(found.sealer().open(&PLACE, &old).is_err());
}

#[test]
fn a_rotation_that_is_not_written_has_not_begun_and_one_that_does_not_end_goes_on() {
    let (folder, path) = folder();
    let mut file = KeyFile::load_or_create(&path).unwrap();
    let (in_the_way, lock) = (folder.path().join(".key.tmp"), UnlockKey::generate());

    fs::create_dir(&in_the_way).unwrap();
    file.rotate(&path, lock.clone()).unwrap_err();
    assert_eq!(KeyFile::load(&path).unwrap(), file);

    fs::remove_dir(&in_the_way).unwrap();
    file.rotate(&path, lock.clone()).unwrap();
    fs::create_dir(&in_the_way).unwrap();
    file.finish(&path).unwrap_err();
    assert!(file.is_rotating());
    assert_eq!(KeyFile::unlock(&path, &lock).unwrap(), file);
}

proptest! {
    #[test]
    fn a_changed_byte_of_a_locked_file_is_refused(at: prop::sample::Index, to: u8) {
        let lock = UnlockKey::generate();
        let file = KeyFile { lock: Some(lock.clone()), ..rotating() };
        let mut bytes = file.render().as_bytes().to_vec();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);

        bytes[at] = to;

        prop_assert!(parse(&bytes, Some(&lock)).is_err());
    }

    #[test]
    fn what_is_written_is_read(id in 0..u32::MAX, key: [u8; KEY_LEN], next: Option<[u8; KEY_LEN]>) {
        let pending = next.map(|key| Numbered { id: id + 1, key: Key::new(key) });
        let file = KeyFile { current: Numbered { id, key: Key::new(key) }, pending, lock: None };

        prop_assert_eq!(parse(file.render().as_bytes(), None), Ok(file));
    }

    #[test]
    fn any_change_of_one_byte_is_refused(at: prop::sample::Index, to: u8) {
        let mut bytes = rotating().render().as_bytes().to_vec();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);

        bytes[at] = to;

        prop_assert!(parse(&bytes, None).is_err());
    }

    #[test]
    fn a_cut_file_is_refused(at: prop::sample::Index) {
        let text = rotating().render();

        prop_assert!(parse(&text.as_bytes()[..at.index(text.len())], None).is_err());
    }

    #[test]
    fn foreign_bytes_never_panic(bytes: Vec<u8>, lines in "swarm-key-file 1\n(key [ -~é]*\n){0,3}") {
        let _ = parse(&bytes, None);
        let _ = parse(with_sum(&lines).as_bytes(), None);
    }
}
