use proptest::prelude::*;

use super::*;

async fn spooled(archive: &[u8], limits: Limits) -> Result<Spool, Error> {
    receive(archive, &std::env::temp_dir(), limits).await
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

#[tokio::test]
async fn members_keep_their_content_under_long_names() {
    let long = "d/".repeat(80) + "layer.tar";
    let spool =
        spooled(&archive(&[("a", b"one"), (&long, b"two")]), Limits::default()).await.unwrap();

    assert_eq!(spool.bytes("a", spool.member("a").unwrap()).unwrap(), b"one");
    assert_eq!(spool.bytes("b", spool.member(&long).unwrap()).unwrap(), b"two");
}

#[tokio::test]
async fn limits_hold_and_leave_nothing_behind() {
    let archive = archive(&[("a", &[0; 600]), ("b", &[0; 600])]);
    for limits in [Limits { bytes: 1199, members: 9 }, Limits { bytes: 9999, members: 1 }] {
        let dir = tempfile::tempdir().unwrap();
        let refused = receive(archive.as_slice(), dir.path(), limits).await;
        assert!(
            matches!(refused, Err(Error::BadArchive(BadArchive::TooLarge { .. }))),
            "{refused:?}"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
    assert!(spooled(&archive, Limits { bytes: 1200, members: 2 }).await.is_ok());
}

#[tokio::test]
async fn an_archive_that_ended_is_read_though_its_sender_keeps_the_line() {
    let (mut sender, source) = tokio::io::duplex(1 << 20);
    let whole = archive(&[("a", b"one")]);
    tokio::io::AsyncWriteExt::write_all(&mut sender, &whole).await.unwrap();
    let dir = std::env::temp_dir();

    let read = receive(source, &dir, Limits::default());
    let read = tokio::time::timeout(STALL / 6, read).await.expect("waits for the sender");

    assert!(read.unwrap().holds("a"));
    drop(sender);
}

#[tokio::test]
async fn a_link_is_followed_once_and_only_within_the_archive() {
    let linked = |links: &[(&str, &str)]| {
        let mut tar = tar::Builder::new(archive(&[("x/layer.tar", b"one")]));
        tar.get_mut().truncate(1024);
        for (name, target) in links {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, name, target).unwrap();
        }
        tar.into_inner().unwrap()
    };
    let good = linked(&[("y/layer.tar", "../x/layer.tar"), ("z/layer.tar", "../y/layer.tar")]);

    let spool = spooled(&good, Limits::default()).await.unwrap();

    let layer = spool.member("y/layer.tar").unwrap();
    assert_eq!(spool.bytes("y", layer).unwrap(), b"one");
    assert!(matches!(spool.member("z/layer.tar"), Err(BadArchive::Missing(_))));
    for out in ["/x/layer.tar", "../../x/layer.tar", ".."] {
        let refused = spooled(&linked(&[("y/layer.tar", out)]), Limits::default()).await;
        let kind = matches!(&refused, Err(Error::BadArchive(BadArchive::MemberKind(_))));
        assert!(kind, "{out:?}: {refused:?}");
    }
    let twice = linked(&[("x/layer.tar", "../z")]);
    assert!(spooled(&twice, Limits::default()).await.is_err());
}

#[test]
fn names_that_leave_the_archive_are_refused() {
    for bad in ["/etc/passwd", "../x", "a/../../x", "a/..", "a\\b", "a\0b"] {
        assert!(checked_name(bad).is_err(), "{bad:?}");
    }
    assert_eq!(checked_name("./a//b/./c").unwrap(), "a/b/c");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Cut or bent anywhere, an archive is read or refused, never a panic or a hang.
    #[test]
    fn damage_is_refused_or_harmless(cut in 0usize..4096, flip in 0usize..4096, bit in 0u8..8) {
        let mut bytes = archive(&[("index.json", b"{}"), ("blobs/sha256/a", &[7; 900])]);
        let at = flip % bytes.len();
        bytes[at] ^= 1 << bit;
        bytes.truncate(cut);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let read = runtime.block_on(spooled(&bytes, Limits { bytes: 1 << 20, members: 16 }));
        prop_assert!(matches!(read, Ok(_) | Err(Error::BadArchive(_))), "{read:?}");
    }
}
