//! The mounts of a task, with its placeholders filled in. Pure.

use std::collections::BTreeMap;

use swarm_runtime::Mount;
use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::mount::{self, MountKind};

use super::ExecError;
use super::template::Placeholders;

/// Every mount of the container.
pub(super) fn of(spec: &ContainerSpec, fill: &Placeholders) -> Result<Vec<Mount>, ExecError> {
    spec.mounts.iter().map(|mount| one(mount, fill)).collect()
}

fn one(mount: &mount::Mount, fill: &Placeholders) -> Result<Mount, ExecError> {
    let field = "Mounts";
    let source = fill.fill(field, &mount.source)?;
    let target = fill.fill(field, &mount.target)?;
    let read_only = mount.read_only;
    Ok(match mount.kind {
        MountKind::Bind => {
            let options = mount.bind.clone().unwrap_or_default();
            Mount::Bind { source: source.into(), target, read_only, options }
        }
        MountKind::Volume => {
            let options = mount.volume.clone().unwrap_or_default();
            let driver = options.driver.unwrap_or_default();
            Mount::Volume {
                name: source,
                target,
                read_only,
                no_copy: options.no_copy,
                subpath: options.subpath,
                driver: driver.name,
                labels: values(&options.labels, fill)?,
                options: values(&driver.options, fill)?,
            }
        }
        MountKind::Tmpfs => {
            Mount::Tmpfs { target, read_only, options: mount.tmpfs.clone().unwrap_or_default() }
        }
        MountKind::NamedPipe | MountKind::Cluster | MountKind::Image => {
            return Err(ExecError::Unsupported { field: "TaskTemplate.ContainerSpec.Mounts.Type" });
        }
    })
}

fn values(
    map: &BTreeMap<String, String>,
    fill: &Placeholders,
) -> Result<BTreeMap<String, String>, ExecError> {
    let filled = map.iter().map(|(key, value)| Ok((key.clone(), fill.fill("Mounts", value)?)));
    filled.collect()
}
