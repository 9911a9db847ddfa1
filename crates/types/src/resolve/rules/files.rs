//! Rules about what appears in a container's file system: mounts, secrets, configs.

use super::Rule;
use super::form::{shown, twice};
use crate::spec::container::ContainerSpec;
use crate::spec::mount::{Mount, MountKind, TmpfsOptions};
use crate::spec::secret::{ConfigReference, FileTarget, SecretReference};
use crate::{ConfigId, SecretId};

pub(super) const RULES: &[Rule<ContainerSpec>] = &[
    Rule {
        id: "mount-target",
        field: "TaskTemplate.ContainerSpec.Mounts",
        says: "a mount's target must be an absolute path other than /",
        found: |it| {
            let bad = |mount: &&Mount| !is_absolute(&mount.target) || mount.target == "/";
            it.mounts.iter().find(bad).map(|mount| shown(&mount.target))
        },
        breaks: |it| it.mounts = vec![mount(MountKind::Volume, "data", "data")],
    },
    Rule {
        id: "mount-target-twice",
        field: "TaskTemplate.ContainerSpec.Mounts",
        says: "duplicate mount point: a target can be used once",
        found: |it| {
            twice(it.mounts.iter().map(|mount| mount.target.trim_end_matches('/'))).map(shown)
        },
        breaks: |it| {
            let first = mount(MountKind::Volume, "data", "/data");
            it.mounts = vec![first, mount(MountKind::Tmpfs, "", "/data/")];
        },
    },
    Rule {
        id: "mount-source",
        field: "TaskTemplate.ContainerSpec.Mounts",
        says: "a bind mount needs an absolute source path",
        found: |it| {
            let bad = |it: &&Mount| it.kind == MountKind::Bind && !is_absolute(&it.source);
            it.mounts.iter().find(bad).map(|mount| shown(&mount.source))
        },
        breaks: |it| it.mounts = vec![mount(MountKind::Bind, "data", "/data")],
    },
    Rule {
        id: "mount-source-tmpfs",
        field: "TaskTemplate.ContainerSpec.Mounts",
        says: "a tmpfs mount has no source",
        found: |it| {
            let bad = |it: &&Mount| it.kind == MountKind::Tmpfs && !it.source.is_empty();
            it.mounts.iter().find(bad).map(|mount| shown(&mount.source))
        },
        breaks: |it| it.mounts = vec![mount(MountKind::Tmpfs, "data", "/data")],
    },
    Rule {
        id: "mount-source-missing",
        field: "TaskTemplate.ContainerSpec.Mounts",
        says: "an image, cluster or npipe mount needs a source",
        found: |it| {
            let kinds = [MountKind::Image, MountKind::Cluster, MountKind::NamedPipe];
            let bad = |it: &&Mount| kinds.contains(&it.kind) && it.source.is_empty();
            it.mounts.iter().find(bad).map(|mount| format!("none for {}", shown(&mount.target)))
        },
        breaks: |it| it.mounts = vec![mount(MountKind::Image, "", "/data")],
    },
    Rule {
        id: "mount-options",
        field: "TaskTemplate.ContainerSpec.Mounts",
        says: "a mount can carry the options of its own type only",
        found: |it| {
            let good = |mount: &Mount| {
                (mount.bind.is_none() || mount.kind == MountKind::Bind)
                    && (mount.volume.is_none() || mount.kind == MountKind::Volume)
                    && (mount.tmpfs.is_none() || mount.kind == MountKind::Tmpfs)
                    && (mount.image_subpath.is_empty() || mount.kind == MountKind::Image)
            };
            it.mounts.iter().find(|mount| !good(mount)).map(|mount| shown(&mount.target))
        },
        breaks: |it| {
            let tmpfs = Some(TmpfsOptions::default());
            it.mounts = vec![Mount { tmpfs, ..mount(MountKind::Volume, "data", "/data") }];
        },
    },
    Rule {
        id: "tmpfs-size",
        field: "TaskTemplate.ContainerSpec.Mounts",
        says: "a tmpfs must not have a negative size",
        found: |it| {
            let mut sizes =
                it.mounts.iter().filter_map(|mount| Some(mount.tmpfs.as_ref()?.size_bytes));
            sizes.find(|size| *size < 0).map(|size| size.to_string())
        },
        breaks: |it| {
            let tmpfs = Some(TmpfsOptions { size_bytes: -1, ..TmpfsOptions::default() });
            it.mounts = vec![Mount { tmpfs, ..mount(MountKind::Tmpfs, "", "/data") }];
        },
    },
    Rule {
        id: "secret-reference",
        field: "TaskTemplate.ContainerSpec.Secrets",
        says: "malformed secret reference: needs a name and a target file with numeric owners",
        found: |it| {
            let good = |it: &SecretReference| !it.name.is_empty() && is_file(&it.target);
            it.secrets.iter().find(|it| !good(it)).map(|it| shown(&it.name))
        },
        breaks: |it| it.secrets = vec![secret("")],
    },
    Rule {
        id: "secret-target-twice",
        field: "TaskTemplate.ContainerSpec.Secrets",
        says: "secret references have a conflicting target: a file can appear once",
        found: |it| twice(it.secrets.iter().map(|it| it.target.name.as_str())).map(shown),
        breaks: |it| it.secrets = vec![secret("key"), secret("key")],
    },
    Rule {
        id: "config-reference",
        field: "TaskTemplate.ContainerSpec.Configs",
        says: "malformed config reference: needs a name, and a file needs numeric owners",
        found: |it| {
            let good = |it: &ConfigReference| {
                !it.name.is_empty() && it.target.as_ref().is_none_or(is_file)
            };
            it.configs.iter().find(|it| !good(it)).map(|it| shown(&it.name))
        },
        breaks: |it| it.configs = vec![config("")],
    },
    Rule {
        id: "config-target-twice",
        field: "TaskTemplate.ContainerSpec.Configs",
        says: "config references have a conflicting target: a file can appear once",
        found: |it| {
            let files = it.configs.iter().filter_map(|it| Some(it.target.as_ref()?.name.as_str()));
            twice(files).map(shown)
        },
        breaks: |it| it.configs = vec![config("/etc/site"), config("/etc/site")],
    },
];

/// Templates are expanded on the node; what they will be is not known here.
fn is_absolute(path: &str) -> bool {
    (path.starts_with('/') || path.starts_with("{{")) && !path.contains('\0')
}

fn is_file(file: &FileTarget) -> bool {
    let number = |text: &str| text.is_empty() || text.parse::<u32>().is_ok();
    let inside = file.name.split('/').all(|part| part != "..") && !file.name.contains('\0');
    !file.name.is_empty() && inside && number(&file.uid) && number(&file.gid)
}

fn mount(kind: MountKind, source: &str, target: &str) -> Mount {
    Mount { kind, source: source.to_owned(), target: target.to_owned(), ..Mount::default() }
}

fn secret(file: &str) -> SecretReference {
    let target = FileTarget { name: file.to_owned(), ..FileTarget::default() };
    SecretReference { id: SecretId::MIN, name: "key".to_owned(), target }
}

fn config(file: &str) -> ConfigReference {
    let target = FileTarget { name: file.to_owned(), ..FileTarget::default() };
    ConfigReference { id: ConfigId::MIN, name: "site".to_owned(), target: Some(target) }
}
