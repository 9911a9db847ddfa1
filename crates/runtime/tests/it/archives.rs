//! Image archives, whole and broken.

use std::collections::BTreeMap;
use std::io::Write;

use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use swarm_runtime::{BadArchive, Error, Limits, Options, Runtime, Spare};
use testbed::{Config, Format, Layers, busybox, busybox_archive};

use crate::world::{PATIENCE, World};

type Members = BTreeMap<String, Vec<u8>>;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar_of(members: &Members) -> tar::Builder<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    tar
}

fn archive(members: &Members) -> Vec<u8> {
    tar_of(members).into_inner().unwrap()
}

fn small(format: Format) -> Members {
    let config = Config { cmd: vec!["/bin/sh".into()], ..Config::default() };
    busybox("busybox:test", &config, Layers::Plain).members(format).unwrap()
}

#[tokio::test]
async fn every_kind_of_archive_loads_and_runs() {
    let world = World::empty().await;
    for (n, format) in [Format::DockerArchive, Format::Oci].into_iter().enumerate() {
        for (m, layers) in [Layers::Plain, Layers::Gzip].into_iter().enumerate() {
            let plain = busybox_archive(format, layers);
            for (o, bytes) in [gzip(&plain), plain].iter().enumerate() {
                let images = world.load(bytes).await.unwrap();

                assert_eq!(images.len(), 1);
                assert_eq!(images[0].name, "docker.io/library/busybox:test");
                assert_eq!(world.runtime.images().await.unwrap(), images);
                assert_eq!(
                    world.runtime.image("busybox:test").await.unwrap(),
                    images.first().cloned()
                );
                let id = format!("c{n}{m}{o}");
                world.shell(&id, "exit 4").await;
                world.runtime.start(&id).await.unwrap();
                assert_eq!(world.runtime.wait(&id).await.unwrap().code, 4);
                world.runtime.remove(&id).await.unwrap();
                assert_eq!(world.spooled(), 0);
            }
        }
    }
    assert_eq!(world.runtime.image("other").await.unwrap(), None);
}

#[tokio::test]
async fn an_image_without_a_name_takes_the_one_given() {
    let world = World::empty().await;
    let mut members = small(Format::Oci);
    edit(&mut members, "index.json", |index| {
        index["manifests"][0]["annotations"] = Value::Null;
    });
    let bytes = archive(&members);

    let unnamed = world.runtime.load(bytes.as_slice(), None).await;
    let named = world.runtime.load(bytes.as_slice(), Some("mine:2")).await.unwrap();

    assert!(matches!(unnamed, Err(Error::BadArchive(BadArchive::Unnamed))), "{unnamed:?}");
    assert_eq!(named[0].name, "docker.io/library/mine:2");
}

#[tokio::test]
async fn the_image_for_this_machine_is_picked_from_a_nested_index() {
    let world = World::empty().await;
    let mut members = small(Format::Oci);
    let mut index: Value = serde_json::from_slice(&members["index.json"]).unwrap();
    let native = index["manifests"][0].clone();
    let mut foreign = native.clone();
    foreign["platform"]["architecture"] = json!("s390x");
    foreign["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    let nested = serde_json::to_vec(&json!({
        "schemaVersion": 2, "manifests": [foreign, native],
    }));
    let nested = nested.unwrap();
    let digest: String = Sha256::digest(&nested).iter().map(|byte| format!("{byte:02x}")).collect();
    index["manifests"] = json!([{
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": format!("sha256:{digest}"),
        "size": nested.len(),
        "annotations": { "org.opencontainers.image.ref.name": "many:1" },
    }]);
    members.insert(format!("blobs/sha256/{digest}"), nested);
    members.insert("index.json".into(), serde_json::to_vec(&index).unwrap());

    let images = world.load(&archive(&members)).await.unwrap();

    assert_eq!(images[0].name, "docker.io/library/many:1");
    assert_eq!(json!(images[0].digest), native["digest"]);
}

fn edit(members: &mut Members, path: &str, change: impl FnOnce(&mut Value)) {
    let mut document: Value = serde_json::from_slice(&members[path]).unwrap();
    change(&mut document);
    members.insert(path.into(), serde_json::to_vec(&document).unwrap());
}

fn edited(format: Format, path: &str, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut members = small(format);
    edit(&mut members, path, change);
    archive(&members)
}

/// Replaces the largest blob, or drops it.
fn with_layer(format: Format, bytes: Option<&[u8]>) -> Vec<u8> {
    let mut members = small(format);
    let largest = members.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
    members.remove(&largest);
    if let Some(bytes) = bytes {
        members.insert(largest, bytes.to_vec());
    }
    archive(&members)
}

fn with_member(kind: tar::EntryType, path: &str) -> Vec<u8> {
    let mut tar = tar_of(&small(Format::Oci));
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_link_name("/etc/passwd").unwrap();
    header.set_cksum();
    tar.append(&header, std::io::empty()).unwrap();
    tar.into_inner().unwrap()
}

fn config_path(members: &Members) -> String {
    members.keys().find(|path| path.ends_with(".json") && *path != "manifest.json").unwrap().clone()
}

/// A name for people, and the archive.
fn broken() -> Vec<(&'static str, Vec<u8>)> {
    use Format::{DockerArchive, Oci};
    let whole = archive(&small(Oci));
    let docker = small(DockerArchive);
    let mut tampered = docker.clone();
    tampered.get_mut(&config_path(&docker)).unwrap().push(b' ');
    let foreign =
        |index: &mut Value| index["manifests"][0]["platform"]["architecture"] = json!("vax");
    let mut cut_gzip = gzip(&whole);
    cut_gzip.truncate(cut_gzip.len() / 2);
    let digest = |index: &mut Value| index["manifests"][0]["digest"] = json!("sha256:../../x");
    vec![
        ("empty", Vec::new()),
        ("no tar", b"not a tar at all, but long enough ".repeat(64)),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("cut gzip", cut_gzip),
        ("no documents", archive(&Members::from([("readme".into(), b"hi".to_vec())]))),
        ("leaves upwards", with_member(tar::EntryType::Regular, "../escape")),
        ("leaves by root", with_member(tar::EntryType::Regular, "/escape")),
        ("twice", with_member(tar::EntryType::Regular, "index.json")),
        ("symlink", with_member(tar::EntryType::Symlink, "blobs/link")),
        ("hard link", with_member(tar::EntryType::Link, "blobs/link")),
        ("device", with_member(tar::EntryType::Char, "blobs/device")),
        ("index is no JSON", {
            let mut members = small(Oci);
            members.insert("index.json".into(), b"{".to_vec());
            archive(&members)
        }),
        ("index is empty", edited(Oci, "index.json", |index| index["manifests"] = Value::Null)),
        ("wrong platform", edited(Oci, "index.json", foreign)),
        ("digest is a path", edited(Oci, "index.json", digest)),
        ("wrong size", edited(Oci, "index.json", |index| index["manifests"][0]["size"] = json!(1))),
        (
            "bad media type",
            edited(Oci, "index.json", |index| {
                index["manifests"][0]["mediaType"] = json!("text/plain");
            }),
        ),
        (
            "bad name",
            edited(Oci, "index.json", |index| {
                index["manifests"][0]["annotations"] = json!({ "io.containerd.image.name": "A B" });
            }),
        ),
        ("missing layer", with_layer(Oci, None)),
        ("changed layer", with_layer(Oci, Some(b"changed"))),
        ("docker: missing layer", with_layer(DockerArchive, None)),
        ("docker: changed layer", with_layer(DockerArchive, Some(&[0; 1024]))),
        ("docker: layer is no tar", with_layer(DockerArchive, Some(&[7; 4096]))),
        ("docker: broken gzip layer", with_layer(DockerArchive, Some(b"\x1f\x8b\x08broken"))),
        ("docker: tampered configuration", archive(&tampered)),
        (
            "docker: too few layers",
            edited(DockerArchive, "manifest.json", |manifest| {
                manifest[0]["Layers"] = Value::Null;
            }),
        ),
        (
            "docker: no images",
            edited(DockerArchive, "manifest.json", |manifest| *manifest = json!([])),
        ),
        (
            "docker: no name",
            edited(DockerArchive, "manifest.json", |manifest| {
                manifest[0]["RepoTags"] = Value::Null;
            }),
        ),
    ]
}

/// A layout whose one entry leads through nested indexes; each lists the next very often.
fn nested(width: usize) -> Vec<u8> {
    let mut members = small(Format::Oci);
    let mut manifests = json!([]);
    for _ in 0..4 {
        let index = serde_json::to_vec(&json!({ "manifests": manifests })).unwrap();
        let digest: String = Sha256::digest(&index).iter().map(|b| format!("{b:02x}")).collect();
        let entry = json!({
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "digest": format!("sha256:{digest}"),
            "size": index.len(),
        });
        members.insert(format!("blobs/sha256/{digest}"), index);
        manifests = vec![entry; width].into();
    }
    edit(&mut members, "index.json", |index| index["manifests"] = manifests);
    archive(&members)
}

/// The same image under so many names.
fn many_images(format: Format, count: usize) -> Vec<u8> {
    match format {
        Format::Oci => edited(format, "index.json", |index| {
            let one = index["manifests"][0].clone();
            let named = |n: usize| {
                let mut one = one.clone();
                one["annotations"] = json!({ "io.containerd.image.name": format!("i:{n}") });
                one
            };
            index["manifests"] = (0..count).map(named).collect();
        }),
        Format::DockerArchive => edited(format, "manifest.json", |manifest| {
            *manifest = vec![manifest[0].clone(); count].into();
        }),
    }
}

#[tokio::test]
async fn small_archives_that_grow_are_refused() {
    let world = World::empty().await;
    let before = world.holdings();
    let bomb = gzip(&vec![0; 8 << 20]);
    let mut members = small(Format::DockerArchive);
    let largest = members.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
    members.insert(largest, bomb);
    let bomb = archive(&members);
    let options =
        Options { limits: Limits { bytes: 6 << 20, members: 64 }, ..world.options.clone() };
    let strict = Runtime::connect(options).await.unwrap();
    assert!(bomb.len() < 6 << 20);

    for (what, bytes, runtime) in [
        ("gzip bomb", bomb, &strict),
        ("nested indexes", nested(1000), &world.runtime),
        ("images", many_images(Format::Oci, 1000), &world.runtime),
        ("docker: images", many_images(Format::DockerArchive, 1000), &world.runtime),
    ] {
        let refused =
            tokio::time::timeout(PATIENCE, runtime.load(bytes.as_slice(), Some("many:1"))).await;

        let refused = refused.unwrap_or_else(|_| panic!("{what}: takes too long"));
        let large = matches!(refused, Err(Error::BadArchive(BadArchive::TooLarge { .. })));
        assert!(large, "{what}: {refused:?}");
        assert_eq!(world.holdings(), before, "{what}");
    }
}

#[tokio::test]
async fn layers_of_older_docker_that_are_links_load() {
    let world = World::empty().await;
    let mut members = small(Format::DockerArchive);
    let mut layers = Vec::new();
    edit(&mut members, "manifest.json", |manifest| {
        for (n, layer) in manifest[0]["Layers"].as_array_mut().unwrap().iter_mut().enumerate() {
            let link = format!("{n:064x}/layer.tar");
            layers.push((link.clone(), format!("../{}", layer.as_str().unwrap())));
            *layer = link.into();
        }
    });
    let mut tar = tar_of(&members);
    for (link, target) in &layers {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, link, target).unwrap();
    }

    let images = world.load(&tar.into_inner().unwrap()).await.unwrap();

    assert_eq!(images[0].name, "docker.io/library/busybox:test");
    world.shell("linked", "exit 4").await;
    world.runtime.start("linked").await.unwrap();
    assert_eq!(world.runtime.wait("linked").await.unwrap().code, 4);
}

#[tokio::test]
async fn broken_archives_leave_nothing_behind() {
    let world = World::empty().await;
    let before = world.holdings();
    for (what, bytes) in broken() {
        let refused = world.load(&bytes).await;

        let expected = match &refused {
            Err(Error::BadArchive(_)) => true,
            // What is inside a layer is containerd's to refuse.
            Err(Error::Containerd { call: "unpack layer", .. }) => what.contains("layer"),
            _ => false,
        };
        assert!(expected, "{what}: {refused:?}");
        assert_eq!(world.holdings(), before, "{what}");
        assert_eq!(world.spooled(), 0, "{what}");
    }
}

#[tokio::test]
async fn a_source_that_breaks_leaves_nothing_behind() {
    use tokio::io::AsyncReadExt;
    let world = World::empty().await;
    let before = world.holdings();
    let bytes = busybox_archive(Format::Oci, Layers::Gzip);
    let broken = tokio_stream::iter([
        Ok(bytes::Bytes::copy_from_slice(&bytes[..bytes.len() / 2])),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ]);
    let source = tokio_util::io::StreamReader::new(broken).take(u64::MAX);

    let runtime = world.runtime.clone();
    let load = tokio::spawn(async move { runtime.load(Box::pin(source), None).await });
    let refused = load.await.unwrap();

    assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
    assert_eq!(world.holdings(), before);
}

/// What happens to an archive on its way.
#[derive(Clone, Debug)]
enum Harm {
    /// A bit of the archive turns.
    Flip(usize, u8),
    /// The archive ends early.
    Cut(usize),
    /// A piece of it is written over another.
    Splice { from: usize, to: usize, length: usize },
    /// A member is left out.
    Drop(usize),
    /// A member gets the content of another.
    Copy { from: usize, to: usize },
    /// A bit of a member turns, the tar around it is whole.
    Inside(usize, usize, u8),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        (any::<usize>(), 0..8_u8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        any::<usize>().prop_map(Harm::Cut),
        (any::<usize>(), any::<usize>(), 1..2048_usize)
            .prop_map(|(from, to, length)| Harm::Splice { from, to, length }),
        any::<usize>().prop_map(Harm::Drop),
        (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Harm::Copy { from, to }),
        (any::<usize>(), any::<usize>(), 0..8_u8)
            .prop_map(|(member, at, bit)| Harm::Inside(member, at, bit)),
    ]
}

impl Harm {
    fn done_to(&self, mut members: Members) -> Vec<u8> {
        let names: Vec<String> = members.keys().cloned().collect();
        let name = |n: usize| &names[n % names.len()];
        match *self {
            Self::Drop(member) => drop(members.remove(name(member))),
            Self::Copy { from, to } => {
                let bytes = members[name(from)].clone();
                members.insert(name(to).clone(), bytes);
            }
            Self::Inside(member, at, bit) => {
                let bytes = members.get_mut(name(member)).unwrap();
                let at = at % bytes.len();
                bytes[at] ^= 1 << bit;
            }
            _ => {}
        }
        let mut bytes = archive(&members);
        let size = bytes.len();
        match *self {
            Self::Flip(at, bit) => bytes[at % size] ^= 1 << bit,
            Self::Cut(at) => bytes.truncate(at % size),
            Self::Splice { from, to, length } => {
                let length = length.min(size);
                let (from, to) = (from % (size - length + 1), to % (size - length + 1));
                bytes.copy_within(from..from + length, to);
            }
            _ => {}
        }
        bytes
    }
}

/// Whatever happened to an archive: it is refused and leaves nothing, or what it gives can be
/// removed again to the last blob.
#[test]
fn harmed_archives_leave_nothing_behind() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let world = tokio.block_on(World::empty());
    let before = world.holdings();
    let mut tree = mkimage::Tree::skeleton();
    tree.add_file("srv/data", 0o644, vec![7; 3000]);
    let image =
        mkimage::Image::build("web:1", &Config::default(), vec![tree], Layers::Gzip).unwrap();
    let whole = [Format::Oci, Format::DockerArchive].map(|it| image.members(it).unwrap());
    let config = proptest::test_runner::Config { cases: 64, ..Default::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);

    let tried = runner.run(&(0..2_usize, harm()), |(format, harm)| {
        let bytes = harm.done_to(whole[format].clone());
        let loaded = tokio.block_on(world.load(&bytes));
        match loaded {
            Ok(images) => {
                for image in images {
                    tokio.block_on(world.runtime.remove_image(&image.name, Spare::Used)).unwrap();
                }
            }
            Err(Error::BadArchive(_) | Error::Containerd { call: "unpack layer", .. }) => {}
            Err(other) => return Err(TestCaseError::fail(format!("{other:?}"))),
        }
        prop_assert_eq!(world.holdings(), before.clone());
        prop_assert_eq!(world.spooled(), 0);
        Ok(())
    });

    tried.unwrap();
}
