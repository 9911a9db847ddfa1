//! What a container needs of the host before it can be made: volumes, sources of binds.
//!
//! [`plan`] says what, and touches nothing; [`Runtime::supply`] makes it, as often as it is asked.
//! Volumes of the container's own (those the image declares, and mounts without a name) are named
//! after it, so that they are found again whatever was written down.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use containerd_client::types::Mount as RootFs;

use super::spec::{Planned, Source};
use super::{ContainerConfig, Kept, KeptVolume, Mount, list};
use crate::archive::digest;
use crate::image::ImageConfig;
use crate::volumes::fill::{self, Filling};
use crate::volumes::{ANONYMOUS, Held, NewVolume, options, store, subpath};
use crate::{Error, Runtime};

/// What a container is to be supplied with.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) mounts: Vec<Planned>,
    volumes: Vec<Use>,
    binds: Vec<BindSource>,
}

/// A volume and how the container uses it.
#[derive(Debug)]
struct Use {
    volume: NewVolume,
    subpath: String,
    /// The path in the image that fills it.
    filled_from: Option<String>,
}

#[derive(Debug)]
struct BindSource {
    path: PathBuf,
    missing: Missing,
}

/// What becomes of a source that is not there.
#[derive(Clone, Copy, Debug)]
enum Missing {
    Refused,
    Made,
}

impl Plan {
    /// What is kept with the container's record.
    pub(super) fn kept(&self) -> Vec<KeptVolume> {
        let kept =
            |it: &Use| KeptVolume { name: it.volume.name.clone(), subpath: it.subpath.clone() };
        self.volumes.iter().map(kept).collect()
    }

    fn volume(&mut self, container: &Volumes<'_>, target: &str, read_only: bool, used: Use) {
        let name = &used.volume.name;
        let place = if used.subpath.is_empty() {
            store::data(container.dir, name)
        } else {
            subpath::place(container.dir, container.id, self.volumes.len())
        };
        let source = Source::Volume(place);
        self.mounts.push(Planned { target: target.into(), source, read_only });
        self.volumes.push(used);
    }
}

/// Whose volumes, and where.
struct Volumes<'a> {
    dir: &'a Path,
    id: &'a str,
}

impl Volumes<'_> {
    fn own(&self, target: &str) -> NewVolume {
        let labels = [(ANONYMOUS.to_owned(), String::new())].into();
        let name = format!("{}{}", own_prefix(self.id), short(target));
        NewVolume { name, labels, ..NewVolume::default() }
    }
}

/// How the names of a container's own volumes begin.
fn own_prefix(id: &str) -> String {
    short(id)
}

/// 32 characters of a digest, two of which are as long as Docker's names.
fn short(text: &str) -> String {
    digest(text.as_bytes()).trim_start_matches("sha256:").chars().take(32).collect()
}

pub(super) fn plan(
    config: &ContainerConfig,
    image: &ImageConfig,
    dir: &Path,
) -> Result<Plan, Error> {
    let volumes = Volumes { dir, id: &config.id };
    let mut plan = Plan::default();
    let mut targets = HashSet::new();
    for mount in &config.mounts {
        let target = target(mount)?;
        if !targets.insert(target.clone()) {
            return Err(bad(format!("{target} is mounted twice")));
        }
        add(&mut plan, &volumes, mount, &target)?;
    }
    for declared in &image.volumes {
        // Nonsense in an image is the image's; Docker passes over it, too.
        let Some(target) = clean(declared).filter(|target| targets.insert(target.clone())) else {
            continue;
        };
        let volume = volumes.own(&target);
        let used = Use { volume, subpath: String::new(), filled_from: Some(target.clone()) };
        plan.volume(&volumes, &target, false, used);
    }
    Ok(plan)
}

fn add(plan: &mut Plan, volumes: &Volumes<'_>, mount: &Mount, to: &str) -> Result<(), Error> {
    match mount {
        Mount::Bind { source, read_only, options, .. } => {
            if !source.is_absolute() {
                return Err(bad(format!("{}: a bind needs an absolute path", source.display())));
            }
            let missing = if options.create_mountpoint { Missing::Made } else { Missing::Refused };
            plan.binds.push(BindSource { path: source.clone(), missing });
            let source = Source::Bind(source.clone(), options.clone());
            plan.mounts.push(Planned { target: to.into(), source, read_only: *read_only });
        }
        Mount::Tmpfs { read_only, options, .. } => {
            let source = Source::Tmpfs(options.clone());
            plan.mounts.push(Planned { target: to.into(), source, read_only: *read_only });
        }
        Mount::Volume { name, read_only, no_copy, subpath, driver, labels, options, .. } => {
            if !subpath::is_inside(subpath) {
                return Err(bad(format!("{to}: the subpath {subpath:?} leaves its volume")));
            }
            let mut volume = if name.is_empty() {
                volumes.own(to)
            } else {
                NewVolume { name: name.clone(), ..NewVolume::default() }
            };
            volume.labels.extend(labels.clone());
            volume.driver.clone_from(driver);
            volume.options.clone_from(options);
            let filled = !no_copy && subpath.is_empty();
            let filled_from = filled.then(|| to.to_owned());
            let used = Use { volume, subpath: subpath.clone(), filled_from };
            plan.volume(volumes, to, *read_only, used);
        }
    }
    Ok(())
}

fn target(mount: &Mount) -> Result<String, Error> {
    let (Mount::Bind { target, .. } | Mount::Volume { target, .. } | Mount::Tmpfs { target, .. }) =
        mount;
    let none = || bad(format!("{target:?} is no place: it must be an absolute path other than /"));
    clean(target).ok_or_else(none)
}

/// An absolute path other than `/`, without dots.
fn clean(path: &str) -> Option<String> {
    if !path.starts_with('/') || path.contains('\0') {
        return None;
    }
    let mut clean = PathBuf::from("/");
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(clean.pop()),
            Component::Normal(name) => clean.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean.to_str().filter(|path| *path != "/").map(String::from)
}

fn bad(why: String) -> Error {
    Error::BadConfig { field: "mounts", why }
}

impl Runtime {
    /// Makes what a plan says. Nobody changes volumes while the answer is kept.
    pub(super) async fn supply(
        &self,
        plan: &Plan,
        rootfs: &[RootFs],
    ) -> Result<Option<Held>, Error> {
        let binds: Vec<(PathBuf, Missing)> =
            plan.binds.iter().map(|bind| (bind.path.clone(), bind.missing)).collect();
        let volumes: Vec<NewVolume> = plan.volumes.iter().map(|it| it.volume.clone()).collect();
        let filled = |it: &Use| {
            let (volume, target) = (it.volume.name.clone(), it.filled_from.clone()?);
            Some(Filling { volume, target })
        };
        let fillings: Vec<Filling> = plan.volumes.iter().filter_map(filled).collect();
        if !binds.is_empty() {
            let work = move |_: &Path| binds.iter().try_for_each(|(path, it)| source(path, *it));
            self.on_disk("look for what is bound", work).await?;
        }
        if volumes.is_empty() {
            return Ok(None);
        }
        let held = self.hold_volumes().await;
        let rootfs = rootfs.to_vec();
        let work = move |dir: &Path| {
            for volume in &volumes {
                store::create(dir, volume)?;
                mount(dir, &volume.name)?;
            }
            fill::fill(dir, &rootfs, &fillings).map_err(Error::io("fill a volume"))
        };
        self.change(&held, "prepare volumes", work).await?;
        Ok(Some(held))
    }

    /// Has everything mounted that a container's volumes need while it starts.
    pub(super) async fn show_volumes(&self, id: &str, kept: &Kept) -> Result<(), Error> {
        if kept.volumes.is_empty() {
            return Ok(());
        }
        let held = self.hold_volumes().await;
        let (id, volumes) = (id.to_owned(), kept.volumes.clone());
        let work = move |dir: &Path| {
            for (index, volume) in volumes.iter().enumerate() {
                mount(dir, &volume.name)?;
                if volume.subpath.is_empty() {
                    continue;
                }
                let place = subpath::place(dir, &id, index);
                let data = store::data(dir, &volume.name);
                subpath::show(&data, &volume.subpath, &place).map_err(|why| Error::BadVolume {
                    name: volume.name.clone(),
                    why: format!("its subpath {:?}: {why}", volume.subpath),
                })?;
            }
            Ok(())
        };
        self.change(&held, "mount volumes", work).await
    }

    /// Takes away what only a start needs.
    pub(super) async fn hide_volumes(&self, id: &str, kept: &Kept) -> Result<(), Error> {
        if kept.volumes.iter().all(|volume| volume.subpath.is_empty()) {
            return Ok(());
        }
        let held = self.hold_volumes().await;
        let id = id.to_owned();
        let work = move |dir: &Path| {
            subpath::hide(dir, &id).map_err(Error::io("unmount a part of a volume"))
        };
        self.change(&held, "unmount volumes", work).await
    }

    /// Removes a container's own volumes and unmounts those that it was the last to use.
    /// `None` stands for a container whose record was never made, or is gone: it may have used
    /// any of them.
    pub(super) async fn release_volumes(&self, id: &str, kept: Option<&Kept>) -> Result<(), Error> {
        if kept.is_some_and(|kept| kept.volumes.is_empty()) {
            return Ok(());
        }
        let held = self.hold_volumes().await;
        let used = |name: &String| {
            kept.is_none_or(|kept| kept.volumes.iter().any(|used| used.name == *name))
        };
        let mut idle = Vec::new();
        // Asking who else uses it is dear, and only what is mounted needs it.
        let mounted = self.volumes().await?.into_iter().filter(|it| !it.options.is_empty());
        for name in mounted.map(|it| it.name).filter(used) {
            if self.users(&name).await?.iter().all(|user| user == id) {
                idle.push(name);
            }
        }
        let (id, prefix) = (id.to_owned(), own_prefix(id));
        let work = move |dir: &Path| {
            subpath::hide(dir, &id).map_err(Error::io("unmount a part of a volume"))?;
            for name in &idle {
                let data = store::data(dir, name);
                options::unmount(&data).map_err(Error::io("unmount a volume"))?;
            }
            let names = store::names(dir).map_err(Error::io("list volumes"))?;
            let mut own = names.iter().filter(|name| name.len() == 64 && name.starts_with(&prefix));
            own.try_for_each(|name| store::remove(dir, name))
        };
        self.change(&held, "release volumes", work).await
    }

    /// The containers that use a volume.
    pub(crate) async fn users(&self, volume: &str) -> Result<Vec<String>, Error> {
        Ok(self.volume_users().await?.remove(volume).unwrap_or_default())
    }

    /// Ids of the containers, running or not, that have each volume, by the volume's name. A
    /// volume that none has is left out.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] and the like.
    pub async fn volume_users(&self) -> Result<HashMap<String, Vec<String>>, Error> {
        let mut users = HashMap::<String, Vec<String>>::new();
        for record in self.container_records().await? {
            let volumes = list::kept(&record).volumes.into_iter().map(|volume| volume.name);
            for volume in volumes.collect::<HashSet<_>>() {
                users.entry(volume).or_default().push(record.id.clone());
            }
        }
        Ok(users)
    }
}

fn source(path: &Path, missing: Missing) -> Result<(), Error> {
    match missing {
        Missing::Made => std::fs::create_dir_all(path)
            .or_else(|why| if path.exists() { Ok(()) } else { Err(why) })
            .map_err(|why| bad(format!("make {}: {why}", path.display()))),
        Missing::Refused if !path.exists() => {
            Err(bad(format!("bind source path does not exist: {}", path.display())))
        }
        Missing::Refused => Ok(()),
    }
}

/// Mounts what a volume's options name, if any.
fn mount(dir: &Path, name: &str) -> Result<(), Error> {
    let volume = store::read(dir, name)?;
    let volume = volume.ok_or_else(|| Error::VolumeMissing { name: name.into() })?;
    let bad = |why: String| Error::BadVolume { name: name.into(), why };
    match options::wish(&volume.options).map_err(bad)? {
        None => Ok(()),
        Some(wish) => options::mount(&wish, &volume.mountpoint)
            .map_err(|why| bad(format!("mount its device: {why}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str, target: &str, subpath: &str) -> Mount {
        Mount::Volume {
            name: name.into(),
            target: target.into(),
            read_only: false,
            no_copy: false,
            subpath: subpath.into(),
            driver: String::new(),
            labels: Default::default(),
            options: Default::default(),
        }
    }

    fn planned(mounts: Vec<Mount>, declared: &[&str]) -> Result<Plan, Error> {
        let config = ContainerConfig { id: "c1".into(), mounts, ..ContainerConfig::default() };
        let volumes = declared.iter().map(|path| (*path).to_owned()).collect();
        let image = ImageConfig { volumes, ..ImageConfig::default() };
        plan(&config, &image, Path::new("/v"))
    }

    #[test]
    fn volumes_come_from_their_places() {
        let plan =
            planned(vec![volume("data", "/a", ""), volume("data", "/b", "x/y")], &[]).unwrap();

        let sources: Vec<&Source> = plan.mounts.iter().map(|mount| &mount.source).collect();
        assert_eq!(sources[0], &Source::Volume("/v/data/_data".into()));
        assert_eq!(sources[1], &Source::Volume("/v/.subpaths/c1/1".into()));
        assert_eq!(plan.volumes[0].filled_from.as_deref(), Some("/a"));
        assert_eq!(plan.volumes[1].filled_from, None);
        assert_eq!(plan.kept().len(), 2);
    }

    #[test]
    fn an_image_s_volumes_are_the_container_s_own_unless_something_is_mounted_there() {
        let first = planned(vec![volume("data", "/a/", "")], &["/a", "/b", "c", "/"]).unwrap();
        let again = planned(vec![], &["/b"]).unwrap();

        assert_eq!(first.volumes.len(), 2);
        assert_eq!(first.volumes[1].volume, again.volumes[0].volume);
        let name = &again.volumes[0].volume.name;
        assert!(name.len() == 64 && name.starts_with(&own_prefix("c1")));
        assert!(again.volumes[0].volume.labels.contains_key(ANONYMOUS));
    }

    #[test]
    fn places_and_parts_stay_where_they_belong() {
        assert_eq!(clean("/a/./b/../c//"), Some("/a/c".into()));
        assert_eq!(clean("/../../x"), Some("/x".into()));
        for none in ["", "/", "a", "/..", "/a/.."] {
            assert_eq!(clean(none), None, "{none}");
        }
        assert!(planned(vec![volume("data", "/a", "../x")], &[]).is_err());
        assert!(planned(vec![volume("data", "/a", ""), volume("other", "/a/", "")], &[]).is_err());
        let bind = Mount::Bind {
            source: "relative".into(),
            target: "/a".into(),
            read_only: false,
            options: Default::default(),
        };
        assert!(planned(vec![bind], &[]).is_err());
    }
}
