use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use proptest::prelude::*;

use super::*;

fn handle(path: &Path) -> OwnedFd {
    OwnedFd::from(File::open(path).unwrap())
}

fn copied(from: &Path, to: &Path) {
    copy(&handle(from), &handle(to)).unwrap();
}

fn world() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    (dir, from, to)
}

#[test]
fn everything_that_makes_a_file_is_copied() {
    let (dir, from, to) = world();
    fs::create_dir(from.join("sub")).unwrap();
    fs::write(from.join("sub/tool"), "text").unwrap();
    chown(from.join("sub/tool"), Some(33), Some(34)).unwrap();
    fs::set_permissions(from.join("sub/tool"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::hard_link(from.join("sub/tool"), from.join("twin")).unwrap();
    symlink("/etc/shadow", from.join("link")).unwrap();
    fs::write(dir.path().join("outside"), "secret").unwrap();
    nix::unistd::mkfifo(&from.join("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o640))
        .unwrap();
    fsetxattr(handle(&from.join("sub")), c"user.note", b"hi", rustix::fs::XattrFlags::empty())
        .unwrap();
    chown(&from, Some(7), Some(8)).unwrap();
    fs::set_permissions(&from, fs::Permissions::from_mode(0o1770)).unwrap();

    copied(&from, &to);

    let tool = to.join("sub/tool").metadata().unwrap();
    assert_eq!((tool.uid(), tool.gid(), tool.mode() & 0o7777), (33, 34, 0o4751));
    assert_eq!(fs::read(to.join("sub/tool")).unwrap(), b"text");
    assert_eq!(to.join("twin").metadata().unwrap().ino(), tool.ino());
    assert_eq!(tool.mtime_nsec(), from.join("sub/tool").metadata().unwrap().mtime_nsec());
    assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/etc/shadow"));
    let pipe = to.join("pipe").metadata().unwrap();
    assert!(pipe.file_type().is_fifo() && pipe.mode() & 0o777 == 0o640);
    let mut note = Vec::with_capacity(9);
    fgetxattr(handle(&to.join("sub")), c"user.note", rustix::buffer::spare_capacity(&mut note))
        .unwrap();
    assert_eq!(note, b"hi");
    let top = to.metadata().unwrap();
    assert_eq!((top.uid(), top.gid(), top.mode() & 0o7777), (7, 8, 0o1770));
}

#[test]
fn a_copy_cut_off_is_finished_and_what_is_there_stays() {
    let (_dir, from, to) = world();
    fs::create_dir(from.join("sub")).unwrap();
    for name in ["a", "b", "sub/c"] {
        fs::write(from.join(name), "image").unwrap();
    }
    fs::create_dir(to.join("sub")).unwrap();
    fs::write(to.join("a"), "own").unwrap();
    fs::write(to.join("sub/.swarm-unfinished"), "ima").unwrap();

    copied(&from, &to);
    copied(&from, &to);

    assert_eq!(fs::read_to_string(to.join("a")).unwrap(), "own");
    assert_eq!(fs::read_to_string(to.join("b")).unwrap(), "image");
    let below: Vec<_> = fs::read_dir(to.join("sub")).unwrap().flatten().collect();
    assert_eq!(below.len(), 1);
}

#[test]
fn links_in_the_way_are_not_followed() {
    let (dir, from, to) = world();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(from.join("sub")).unwrap();
    fs::write(from.join("sub/file"), "image").unwrap();
    symlink(&outside, to.join("sub")).unwrap();

    copied(&from, &to);

    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn holes_stay_holes() {
    let (_dir, from, to) = world();
    let mut file = File::create(from.join("sparse")).unwrap();
    file.seek(io::SeekFrom::Start(64 << 20)).unwrap();
    io::Write::write_all(&mut file, b"end").unwrap();
    ftruncate(&file, 128 << 20).unwrap();

    copied(&from, &to);

    let copy = to.join("sparse").metadata().unwrap();
    assert_eq!(copy.len(), 128 << 20);
    assert!(copy.blocks() * 512 < 1 << 20, "{} blocks", copy.blocks());
    let mut end = [0; 3];
    let mut copy = File::open(to.join("sparse")).unwrap();
    copy.seek(io::SeekFrom::Start(64 << 20)).unwrap();
    copy.read_exact(&mut end).unwrap();
    assert_eq!(&end, b"end");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever the sizes and holes, the bytes are the same.
    #[test]
    fn bytes_are_the_same(parts in prop::collection::vec((0..200_000u64, 0..5000usize), 0..6)) {
        let (_dir, from, to) = world();
        let mut file = File::create(from.join("f")).unwrap();
        for (skip, bytes) in parts {
            file.seek(io::SeekFrom::Current(i64::try_from(skip).unwrap())).unwrap();
            io::Write::write_all(&mut file, &vec![7; bytes]).unwrap();
        }
        copied(&from, &to);
        prop_assert_eq!(fs::read(from.join("f")).unwrap(), fs::read(to.join("f")).unwrap());
    }
}

#[test]
fn what_is_put_in_the_place_of_a_node_is_left_alone() {
    let (dir, from, to) = world();
    let outside = dir.path().join("outside");
    fs::write(&outside, "x").unwrap();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o600)).unwrap();
    nix::unistd::mkfifo(&from.join("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o666))
        .unwrap();
    let pipe = statat(handle(&from), c"pipe", AtFlags::SYMLINK_NOFOLLOW).unwrap();
    symlink(&outside, to.join("pipe")).unwrap();

    settle(FileType::Fifo, &pipe, handle(&to).as_fd(), c"pipe").unwrap();

    assert_eq!(outside.metadata().unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn directories_without_end_are_refused() {
    let (_dir, from, to) = world();
    let deep = |levels: usize| {
        let mut at = handle(&from);
        for _ in 0..levels {
            let _ = mkdirat(&at, c"d", Mode::RWXU);
            at = open_directory(at.as_fd(), c"d").unwrap();
        }
    };
    deep(DEPTH);
    copied(&from, &to);

    deep(DEPTH + 1);

    let refused = copy(&handle(&from), &handle(&to)).unwrap_err();
    assert!(refused.to_string().contains("within each other"), "{refused}");
}
