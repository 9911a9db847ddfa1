//! Pulling from registries that fail, lie, or want something.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use swarm_runtime::{Auth, Error, Limits, Options, Phase, RegistryError, Runtime, Spare};
use testbed::{Config, Format, Image, Layers, busybox};

use crate::mock::{Content, Mock, Reply};
use crate::world::{PATIENCE, World};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

fn image() -> Image {
    let config = Config { cmd: vec!["/bin/sh".into()], ..Config::default() };
    busybox("web:1", &config, Layers::Plain)
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

async fn pull(world: &World, name: &str) -> Result<swarm_runtime::Image, Error> {
    let auth = Auth::default();
    let pulled = world.runtime.pull(name, &auth, |_| {});
    tokio::time::timeout(PATIENCE, pulled).await.unwrap()
}

#[tokio::test]
async fn many_callers_fetch_once() {
    let world = World::empty().await;
    let mock = Mock::good(Content::of(&image())).await;
    let name = mock.name();

    let all = futures::future::join_all((0..10).map(|_| pull(&world, &name))).await;

    let first = all[0].as_ref().unwrap();
    assert!(all.iter().all(|pulled| pulled.as_ref().unwrap() == first));
    assert_eq!(mock.asked_for("manifests").len(), 1);
    let mut blobs: Vec<_> = mock.asked_for("blobs").into_iter().map(|asked| asked.path).collect();
    let count = blobs.len();
    blobs.sort();
    blobs.dedup();
    assert_eq!((count, blobs.len()), (3, 3));
}

#[tokio::test]
async fn a_layer_of_two_images_is_fetched_and_unpacked_once() {
    let world = World::empty().await;
    let labels = [("mark".to_owned(), "other".to_owned())].into();
    let config = Config { cmd: vec!["/bin/sh".into()], labels, ..Config::default() };
    let other = busybox("web:2", &config, Layers::Plain);
    let mut content = Content::of(&image());
    content.add(&other, "2");
    let mock = Mock::good(content).await;
    let unpacked = AtomicUsize::new(0);
    let count = |progress: &swarm_runtime::Progress| {
        unpacked.fetch_add(usize::from(progress.phase == Phase::Unpacking), Ordering::SeqCst);
    };
    let (auth, second) = (Auth::default(), format!("{}/web:2", mock.host));
    let name = mock.name();

    let (one, two) = tokio::join!(
        world.runtime.pull(&name, &auth, count),
        world.runtime.pull(&second, &auth, count)
    );

    assert_ne!(one.unwrap().digest, two.unwrap().digest);
    // Two layers, and a configuration each.
    assert_eq!(mock.asked_for("blobs").len(), 4);
    assert_eq!(unpacked.load(Ordering::SeqCst), 2);
}

/// Whoever is first wins: a container that could be made has its files, whatever went since.
#[tokio::test]
async fn a_container_is_made_whole_or_not_at_all_while_its_image_goes() {
    let world = World::empty().await;
    let archive = testbed::busybox_archive(Format::Oci, Layers::Plain);
    for round in 0..8 {
        world.load(&archive).await.unwrap();
        let id = format!("c{round}");
        let config = crate::world::shell(&id, "exit 4");

        let (created, removed) = tokio::join!(
            world.runtime.create(&config),
            world.runtime.remove_image("busybox:test", Spare::Used)
        );

        match created {
            Ok(()) => {
                world.runtime.start(&id).await.unwrap();
                assert_eq!(world.runtime.wait(&id).await.unwrap().code, 4);
                world.runtime.remove(&id).await.unwrap();
            }
            Err(Error::ImageMissing { .. }) => assert!(removed.is_ok(), "{removed:?}"),
            Err(other) => panic!("{other}"),
        }
    }
}

/// Whichever is first: a name that was moved to another image meanwhile is not the old one's.
#[tokio::test]
async fn removing_an_image_by_its_digest_spares_a_name_that_moves() {
    let world = World::empty().await;
    let of = |code: &str| {
        let config = Config { cmd: vec!["exit".into(), code.into()], ..Config::default() };
        let mut bytes = Vec::new();
        busybox("web:1", &config, Layers::Plain).write(Format::Oci, &mut bytes).unwrap();
        bytes
    };
    let (mut old, mut new) = (of("1"), of("2"));
    for _ in 0..20 {
        let digest = world.load(&old).await.unwrap()[0].digest.clone();

        let (removed, moved) =
            tokio::join!(world.runtime.remove_image(&digest, Spare::Running), world.load(&new));

        let moved = &moved.unwrap()[0];
        let found = world.runtime.image("web:1").await.unwrap();
        assert_eq!(found.map(|it| it.digest).as_ref(), Some(&moved.digest), "{removed:?}");
        std::mem::swap(&mut old, &mut new);
    }
}

#[tokio::test]
async fn a_broken_connection_goes_on_where_it_broke() {
    let world = World::empty().await;
    let content = Content::of(&image());
    let (path, bytes) = content.largest();
    let piece = bytes.len() / 5 + 1;
    for knows_ranges in [true, false] {
        let sent = Arc::new(AtomicUsize::new(0));
        let (counted, wanted) = (Arc::clone(&sent), path.clone());
        let calls = AtomicUsize::new(0);
        let mock = Mock::start(content.clone(), move |asked, content| {
            if asked.path != wanted {
                return None;
            }
            let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
            let mut reply = content.reply(asked);
            let mut cut = piece;
            if !knows_ranges {
                let whole = crate::mock::Asked { from: 0, ..asked.clone() };
                (reply, cut) = (content.reply(&whole), piece * call);
            }
            counted.fetch_add(cut.min(reply.body.len()), Ordering::SeqCst);
            reply.cut = Some(cut);
            Some(reply)
        })
        .await;

        let pulled = pull(&world, &mock.name()).await.unwrap();

        assert_eq!(pulled.digest, image().digest());
        let asked = mock.asked_for(&path);
        let begins: Vec<usize> = asked.iter().map(|asked| asked.from).collect();
        assert_eq!(begins, [0, piece, 2 * piece, 3 * piece, 4 * piece]);
        if knows_ranges {
            assert_eq!(sent.load(Ordering::SeqCst), bytes.len());
        }
        world.runtime.remove_image(&mock.name(), Spare::Used).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_as_announced_is_refused_and_leaves_nothing() {
    let world = World::empty().await;
    let before = world.holdings();
    let good = Content::of(&image());
    let (path, bytes) = good.largest();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    let mut longer = bytes.clone();
    longer.push(0);
    for (what, body) in
        [("flipped", flipped), ("longer", longer), ("shorter", bytes[..bytes.len() - 1].to_vec())]
    {
        let wanted = path.clone();
        let mock = Mock::start(good.clone(), move |asked, _| {
            let body = body.get(asked.from..).unwrap_or_default().to_vec();
            let status = if asked.from > 0 { 206 } else { 200 };
            (asked.path == wanted).then(|| Reply { body, ..Reply::status(status) })
        })
        .await;

        let refused = pull(&world, &mock.name()).await;

        let mismatch = matches!(refused, Err(Error::Registry(RegistryError::Mismatch { .. })));
        assert!(mismatch, "{what}: {refused:?}");
        assert_eq!(world.holdings(), before, "{what}");
    }
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_and_a_refusal_is_not() {
    let world = World::empty().await;
    for status in [429, 500, 503] {
        let left = AtomicUsize::new(2);
        let mock = Mock::start(Content::of(&image()), move |_, _| {
            let busy = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            busy.ok().map(|_| Reply::status(status).with("Retry-After", "0"))
        })
        .await;
        assert!(pull(&world, &mock.name()).await.is_ok(), "{status}");
    }
    for (status, expected) in [(404, "has no"), (403, "denies"), (400, "answers")] {
        let mock = Mock::start(Content::default(), move |_, _| Some(Reply::status(status))).await;
        let refused = pull(&world, &mock.name()).await.unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
        assert_eq!(mock.log().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_token_is_fetched_with_the_credentials_and_used() {
    let world = World::empty().await;
    let own = Arc::new(OnceLock::<String>::new());
    let told = Arc::clone(&own);
    let mock = Mock::start(Content::of(&image()), move |asked, _| {
        let authorization = asked.authorization.as_deref();
        if let Some(query) = asked.path.strip_prefix("/token?") {
            let scoped =
                query.contains("scope=repository%3Aweb%3Apull") && query.contains("service=s");
            let known = authorization == Some("Basic YW5uOnB3");
            let body = br#"{"token":"t0k"}"#.to_vec();
            return Some(match scoped && known {
                true => Reply { body, ..Reply::status(200) },
                false => Reply::status(401),
            });
        }
        let challenge =
            r#"Bearer realm="http://HOST/token",service="s",scope="repository:web:pull""#;
        (authorization != Some("Bearer t0k")).then(|| {
            let host = told.get().unwrap();
            Reply::status(401).with("WWW-Authenticate", challenge.replace("HOST", host))
        })
    })
    .await;
    own.set(mock.host.clone()).unwrap();
    let auth = Auth::from_header(b"eyJ1c2VybmFtZSI6ImFubiIsInBhc3N3b3JkIjoicHcifQ").unwrap();

    let denied = pull(&world, &mock.name()).await;
    let pulled = world.runtime.pull(&mock.name(), &auth, |_| {}).await;

    let is_denied = matches!(denied, Err(Error::Registry(RegistryError::Denied { .. })));
    assert!(is_denied, "{denied:?}");
    pulled.unwrap();
    // One token for the manifest and all blobs.
    assert_eq!(mock.asked_for("token").len(), 2);
}

#[tokio::test]
async fn mirrors_are_asked_first_and_never_see_credentials() {
    let world = World::empty().await;
    let empty = Mock::good(Content::default()).await;
    let mirror = Mock::start(Content::of(&image()), |asked, content| {
        let path = asked.path.split('?').next().unwrap_or_default().to_owned();
        let (host, blob) = (asked.path.ends_with("?ns=r.test"), path.contains("/blobs/"));
        let asked = crate::mock::Asked { path, ..asked.clone() };
        (host && blob).then(|| content.reply(&asked))
    })
    .await;
    let own = Mock::good(Content::of(&image())).await;
    let dir = world.options.registries_dir.join("r.test");
    std::fs::create_dir(&dir).unwrap();
    let text = format!(
        "server = \"http://{}\"\n[host.\"http://{}\"]\n\
         [host.\"http://{}\"]\ncapabilities = [\"pull\"]\n",
        own.host, empty.host, mirror.host
    );
    std::fs::write(dir.join("hosts.toml"), text).unwrap();

    let auth = Auth::password("ann", "pw");
    let pulled = world.runtime.pull("r.test/web:1", &auth, |_| {}).await.unwrap();

    assert_eq!(pulled.name, "r.test/web:1");
    assert_eq!(mirror.asked_for("manifests/1").len(), 0, "it may not say what a tag means");
    assert_eq!(empty.asked_for("manifests/1").len(), 1);
    assert_eq!((own.asked_for("manifests").len(), own.asked_for("blobs").len()), (1, 0));
    let asked = mirror.log().into_iter().chain(empty.log());
    assert!(asked.into_iter().all(|asked| asked.authorization.is_none()));
}

#[tokio::test]
async fn a_pull_that_is_given_up_keeps_what_it_fetched() {
    let world = World::empty().await;
    let content = Content::of(&image());
    let (path, bytes) = content.largest();
    let half = bytes.len() / 2;
    let hangs = Arc::new(AtomicBool::new(true));
    let (hanging, wanted) = (Arc::clone(&hangs), path.clone());
    let mock = Mock::start(content, move |asked, content| {
        let hang = asked.path == wanted && hanging.load(Ordering::SeqCst);
        hang.then(|| Reply { cut: Some(half), hang, ..content.reply(asked) })
    })
    .await;
    let first = tokio::spawn({
        let (runtime, name) = (world.runtime.clone(), mock.name());
        async move { runtime.pull(&name, &Auth::default(), |_| {}).await }
    });
    let kept = || world.ctr(&["content", "active"]).contains("swarm-fetch");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !kept() {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    first.abort();
    let _ = first.await;
    hangs.store(false, Ordering::SeqCst);
    assert!(kept());
    pull(&world, &mock.name()).await.unwrap();

    assert!(!kept());
    assert!(world.ctr(&["leases", "ls", "-q"]).is_empty());
    assert_eq!(mock.asked_for(&path).len(), 2);
}

#[tokio::test]
async fn lists_and_dockers_own_manifests_are_read_and_schema_1_is_refused() {
    let world = World::empty().await;
    let members = image().members(Format::Oci).unwrap();
    let hex = image().digest()[7..].to_owned();
    let mut manifest: Value =
        serde_json::from_slice(&members[&format!("blobs/sha256/{hex}")]).unwrap();
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    manifest["mediaType"] = json!(docker);
    manifest["config"]["mediaType"] = json!("application/vnd.docker.container.image.v1+json");
    for layer in manifest["layers"].as_array_mut().unwrap() {
        layer["mediaType"] = json!("application/vnd.docker.image.rootfs.diff.tar");
    }
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let index: Value = serde_json::from_slice(&members["index.json"]).unwrap();
    let platform = &index["manifests"][0]["platform"];
    let entry = |digest: &str, platform: Value| json!({ "mediaType": docker, "digest": digest, "size": manifest.len(), "platform": platform });
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let text = serde_json::to_vec(&json!({ "schemaVersion": 2, "mediaType": list, "manifests": [
        entry(&format!("sha256:{}", "0".repeat(64)), json!({ "os": "linux", "architecture": "vax" })),
        entry(&digest(&manifest), platform.clone()),
    ] }));
    let text = text.unwrap();
    let mut content = Content::of(&image());
    content.manifest("1", list, &text);
    content.manifest(&digest(&manifest), docker, &manifest);
    let mock = Mock::good(content).await;

    let pulled = pull(&world, &mock.name()).await.unwrap();

    assert_eq!(pulled.digest, digest(&manifest));
    assert_eq!(pulled.repo_digest, Some(format!("{}/web@{}", mock.host, digest(&text))));
    let kind = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let mut content = Content::default();
    content.manifest("1", kind, br#"{"schemaVersion":1,"fsLayers":[]}"#);
    let old = Mock::good(content).await;
    let refused = pull(&world, &old.name()).await.unwrap_err().to_string();
    assert!(refused.contains("schema 1"), "{refused}");
}

/// A tar with one file of `size` zeros, as a zstd frame of a few kilobytes.
fn bomb(size: usize) -> (Vec<u8>, String) {
    const BLOCK: usize = 128 << 10;
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(size as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "zeros", std::io::repeat(0).take(size as u64)).unwrap();
    let tar = tar.into_inner().unwrap();
    // Magic, no content size, window of 1 MiB; then the header raw and runs of zeros.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50];
    let block = |last: usize, kind: usize, length: usize| {
        u32::try_from(length << 3 | kind << 1 | last).unwrap().to_le_bytes()[..3].to_vec()
    };
    frame.extend(block(0, 0, 512));
    frame.extend(&tar[..512]);
    let mut left = tar.len() - 512;
    while left > 0 {
        let length = left.min(BLOCK);
        left -= length;
        frame.extend(block(usize::from(left == 0), 1, length));
        frame.push(0);
    }
    (frame, digest(&tar))
}

#[tokio::test]
async fn a_layer_that_grows_too_large_is_refused_while_it_is_unpacked() {
    let world = World::empty().await;
    let before = world.holdings();
    let (layer, diff_id) = bomb(16 << 20);
    let members = image().members(Format::Oci).unwrap();
    let index: Value = serde_json::from_slice(&members["index.json"]).unwrap();
    let config = json!({
        "os": "linux", "architecture": index["manifests"][0]["platform"]["architecture"],
        "rootfs": { "type": "layers", "diff_ids": [diff_id] },
    });
    let config = serde_json::to_vec(&config).unwrap();
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(&config), "size": config.len() },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd",
            "digest": digest(&layer), "size": layer.len() }],
    }));
    let mut content = Content::default();
    content.manifest("1", OCI, &manifest.unwrap());
    content.blob(&digest(&config), config.clone());
    content.blob(&digest(&layer), layer.clone());
    let mock = Mock::good(content).await;
    let with = |bytes| Options { limits: Limits { bytes, members: 64 }, ..world.options.clone() };
    let strict = Runtime::connect(with(12 << 20)).await.unwrap();
    let wide = Runtime::connect(with(64 << 20)).await.unwrap();
    assert!(layer.len() < 16 << 10);

    let refused = strict.pull(&mock.name(), &Auth::default(), |_| {}).await;

    let text = refused.unwrap_err().to_string();
    assert!(text.contains("limit of 12582912 bytes in unpacked layers"), "{text}");
    assert_eq!(world.holdings(), before);
    // The same image within the limit: the refusal above was about its size.
    let seen = AtomicUsize::new(0);
    let count = |progress: &swarm_runtime::Progress| {
        seen.fetch_add(usize::from(progress.phase == Phase::Done), Ordering::SeqCst);
    };
    wide.pull(&mock.name(), &Auth::default(), count).await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}
