//! Images from a real registry: TLS with a CA of its own, a login, tags that move.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use swarm_runtime::{Auth, Error, Phase, RegistryError, Spare};
use testbed::{Config, Front, Image, Layers, Registry, busybox};

use crate::world::World;

fn login() -> (String, String) {
    ("ann".into(), "s:cret".into())
}

fn image(label: &str) -> Image {
    let labels = [("mark".to_owned(), label.to_owned())].into();
    let config = Config { cmd: vec!["/bin/sh".into()], labels, ..Config::default() };
    busybox("web:1", &config, Layers::Plain)
}

/// A registry with TLS and login, and one without either on the same images.
struct Pair {
    strict: Registry,
    open: Registry,
    ca: PathBuf,
}

impl Pair {
    fn start(world: &World) -> Self {
        let dir = world.dir();
        let key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_path = dir.join("ca.crt");
        std::fs::write(&ca_path, ca.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(ca, key);
        let own_key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(["127.0.0.1".into()]).unwrap();
        let own = own.signed_by(&own_key, &issuer).unwrap();
        let (certificate, key) = (dir.join("own.crt"), dir.join("own.key"));
        std::fs::write(&certificate, own.pem()).unwrap();
        std::fs::write(&key, own_key.serialize_pem()).unwrap();
        let front = Front { tls: Some((certificate, key)), login: Some(login()) };
        let strict = Registry::start(dir, &front);
        Self { strict, open: Registry::start(dir, &Front::default()), ca: ca_path }
    }

    fn trust(&self, world: &World) {
        let dir = world.options.registries_dir.join(self.strict.host());
        std::fs::create_dir(&dir).unwrap();
        std::fs::copy(&self.ca, dir.join("ca.crt")).unwrap();
    }

    fn push(&self, image: &Image) {
        image.push(&self.open.host(), "web", "1").unwrap();
    }
}

#[tokio::test]
async fn tls_and_a_login_are_met_and_the_image_runs() {
    let world = World::empty().await;
    let pair = Pair::start(&world);
    let image = image("a");
    pair.push(&image);
    let name = format!("{}/web:1", pair.strict.host());
    let auth = Auth::password(&login().0, &login().1);
    let before = world.holdings();

    let stranger = world.runtime.pull(&name, &auth, |_| {}).await;
    pair.trust(&world);
    let anonymous = world.runtime.pull(&name, &Auth::default(), |_| {}).await;
    let wrong = world.runtime.pull(&name, &Auth::password("ann", "no"), |_| {}).await;
    assert_eq!(world.holdings()[..3], before[..3]);
    let phases = std::sync::Mutex::new(Vec::new());
    let note = |progress: &swarm_runtime::Progress| {
        phases.lock().unwrap().push((progress.digest.clone(), progress.phase, progress.done));
    };
    let pulled = world.runtime.pull(&name, &auth, note).await.unwrap();

    assert!(
        matches!(stranger, Err(Error::Registry(RegistryError::Untrusted { .. }))),
        "{stranger:?}"
    );
    for refused in [anonymous, wrong] {
        let denied = matches!(refused, Err(Error::Registry(RegistryError::Denied { .. })));
        assert!(denied, "{refused:?}");
    }
    assert_eq!(pulled.digest, image.digest());
    assert_eq!(pulled.repo_digest, Some(format!("{}/web@{}", pair.strict.host(), image.digest())));
    assert_eq!(pulled.config.labels["mark"], "a");
    assert_eq!(world.runtime.image(&name).await.unwrap(), Some(pulled));
    let phases = phases.into_inner().unwrap();
    let layer = &phases[0].0;
    let own: Vec<Phase> =
        phases.iter().filter(|(digest, ..)| digest == layer).map(|(_, phase, _)| *phase).collect();
    assert_eq!(own.first(), Some(&Phase::Waiting));
    assert_eq!(own[own.len() - 3..], [Phase::Downloaded, Phase::Unpacking, Phase::Done]);
    assert!(world.ctr(&["leases", "ls", "-q"]).is_empty());
    let mut config = crate::world::shell("c", "exit 4");
    config.image = name;
    world.runtime.create(&config).await.unwrap();
    world.runtime.start("c").await.unwrap();
    assert_eq!(world.runtime.wait("c").await.unwrap().code, 4);
}

#[tokio::test]
async fn a_tag_that_moved_replaces_the_record_and_a_digest_stays() {
    let world = World::empty().await;
    let pair = Pair::start(&world);
    let host = pair.open.host();
    let name = format!("{host}/web:1");
    let pull = async |name: &str| world.runtime.pull(name, &Auth::default(), |_| {}).await.unwrap();
    pair.push(&image("old"));

    let old = pull(&name).await;
    pair.push(&image("new"));
    let new = pull(&name).await;
    let pinned = pull(&format!("{host}/web:1@{}", old.digest)).await;

    assert_ne!(old.digest, new.digest);
    assert_eq!(pinned.name, format!("{host}/web@{}", old.digest));
    assert_eq!(pinned.config.labels["mark"], "old");
    let images = world.runtime.images().await.unwrap();
    assert_eq!(images, [new, pinned]);
}

#[tokio::test]
async fn removing_takes_the_content_with_the_last_name_but_not_from_a_container() {
    let world = World::empty().await;
    let before = world.holdings();
    let pair = Pair::start(&world);
    pair.push(&image("a"));
    let host = pair.open.host();
    let by_tag = format!("{host}/web:1");
    let by_digest = format!("{host}/web@{}", image("a").digest());
    for name in [&by_tag, &by_digest] {
        world.runtime.pull(name, &Auth::default(), |_| {}).await.unwrap();
    }
    let digest = image("a").digest();
    let mut config = crate::world::shell("c", "true");
    config.image = by_tag.clone();
    world.runtime.create(&config).await.unwrap();

    let used = world.runtime.remove_image(&by_tag, Spare::Used).await;
    let forced = world.runtime.remove_image(&by_tag, Spare::Running).await;
    world.runtime.remove("c").await.unwrap();
    let unclear = world.runtime.remove_image(&digest[7..19], Spare::Used).await;
    let first = world.runtime.remove_image(&by_tag, Spare::Used).await.unwrap();
    let last = world.runtime.remove_image(&digest[7..19], Spare::Used).await.unwrap();
    let again = world.runtime.remove_image(&by_tag, Spare::Used).await;

    assert!(matches!(used, Err(Error::ImageUsed { .. })), "{used:?}");
    // It was made and may yet be started.
    assert!(matches!(forced, Err(Error::ImageUsed { .. })), "{forced:?}");
    assert!(matches!(unclear, Err(Error::ImageUsed { .. })), "{unclear:?}");
    assert_eq!((first.untagged, first.deleted), (vec![by_tag], vec![]));
    assert_eq!(last.untagged, [by_digest]);
    assert_eq!(last.deleted.len(), 4, "{:?}", last.deleted);
    assert_eq!(last.deleted[0], digest);
    assert!(matches!(again, Err(Error::ImageMissing { .. })), "{again:?}");
    assert_eq!(world.holdings(), before);
}
