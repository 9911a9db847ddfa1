use std::os::unix::fs::symlink;

use super::super::NewVolume;
use super::*;

struct World {
    _dir: tempfile::TempDir,
    volumes: PathBuf,
    layers: Vec<PathBuf>,
}

impl World {
    /// An image of two layers and the volume `data`.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let volumes = dir.path().join("volumes");
        let layers: Vec<PathBuf> =
            ["2", "1"].map(|name| dir.path().join("snapshots").join(name).join("fs")).into();
        for layer in &layers {
            fs::create_dir_all(layer.join("srv/www")).unwrap();
        }
        fs::write(layers[0].join("srv/www/top"), "2").unwrap();
        fs::write(layers[1].join("srv/www/bottom"), "1").unwrap();
        let wanted = NewVolume { name: "data".into(), ..NewVolume::default() };
        store::create(&volumes, &wanted).unwrap();
        Self { _dir: dir, volumes, layers }
    }

    fn fill(&self, target: &str) -> io::Result<()> {
        let lower: Vec<_> = self.layers.iter().map(|it| it.display().to_string()).collect();
        let options = vec!["index=off".into(), format!("lowerdir={}", lower.join(":"))];
        let rootfs = Mount { r#type: "overlay".into(), options, ..Mount::default() };
        let filling = Filling { volume: "data".into(), target: target.into() };
        fill(&self.volumes, &[rootfs], &[filling])
    }

    fn found(&self) -> Vec<String> {
        let entries = fs::read_dir(store::data(&self.volumes, "data")).unwrap().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn an_empty_volume_gets_what_all_layers_have_there() {
    let world = World::new();

    world.fill("/srv/www").unwrap();

    assert_eq!(world.found(), ["bottom", "top"]);
    assert!(!world.volumes.join("data").join(MARK).exists());
    // Nothing of it is mounted for others.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(world.volumes.to_str().unwrap()));
}

#[test]
fn a_volume_with_files_is_left_alone_unless_filling_was_cut_off() {
    let world = World::new();
    fs::write(store::data(&world.volumes, "data").join("own"), "x").unwrap();
    world.fill("/srv/www").unwrap();
    assert_eq!(world.found(), ["own"]);

    File::create(world.volumes.join("data").join(MARK)).unwrap();
    world.fill("/srv/www").unwrap();

    assert_eq!(world.found(), ["bottom", "own", "top"]);
}

#[test]
fn links_are_followed_within_the_image_only() {
    let world = World::new();
    symlink("/srv/www", world.layers[0].join("inside")).unwrap();
    symlink("/../../../../../../etc", world.layers[0].join("outside")).unwrap();
    world.fill("/outside").unwrap();
    world.fill("/nothing").unwrap();
    world.fill("/srv/www/top").unwrap();
    assert_eq!(world.found(), Vec::<String>::new());

    world.fill("/inside").unwrap();

    assert_eq!(world.found(), ["bottom", "top"]);
}

#[test]
fn names_are_told_from_their_common_parent() {
    let layers = ["/s/12/fs", "/s/3/fs"].map(PathBuf::from);
    assert_eq!(relative(&layers), ("/s".into(), vec!["12/fs".into(), "3/fs".into()]));
}
