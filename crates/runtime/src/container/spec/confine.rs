//! `AppArmor` and `SELinux`: what the host enforces beside capabilities.

use super::host::Loaded;
use super::{Host, bad};
use crate::Error;
use crate::container::{AppArmor, ContainerConfig, SeLinuxContext};

const PROFILE: &str = "docker-default";

/// The profile to run under; `None` means none.
pub(super) fn apparmor(config: &ContainerConfig, host: &Host) -> Result<Option<String>, Error> {
    match (config.apparmor, host.apparmor) {
        (AppArmor::Host | AppArmor::Default, Loaded::Profile) => Ok(Some(PROFILE.into())),
        (AppArmor::Unconfined, Loaded::Profile | Loaded::NoProfile) => {
            Ok(Some("unconfined".into()))
        }
        (AppArmor::Default, Loaded::NoProfile) => {
            Err(bad("apparmor", format!("the profile {PROFILE} is not loaded on this host")))
        }
        (AppArmor::Default, Loaded::Off) => Err(bad("apparmor", "this host does not use AppArmor")),
        (AppArmor::Host, Loaded::NoProfile) | (_, Loaded::Off) => Ok(None),
    }
}

/// The label of its processes; `None` means none of its own.
pub(super) fn process_label(
    config: &ContainerConfig,
    host: &Host,
) -> Result<Option<String>, Error> {
    let label = wanted(config, host)?.map(|label| {
        let kind = part(&label.kind, "container_t");
        format!("{}:{}:{kind}:{}", user(label), part(&label.role, "system_r"), level(label))
    });
    Ok(label)
}

/// The label of its files.
pub(super) fn mount_label(config: &ContainerConfig, host: &Host) -> Result<Option<String>, Error> {
    let label = wanted(config, host)?;
    Ok(label.map(|label| format!("{}:object_r:container_file_t:{}", user(label), level(label))))
}

fn wanted<'a>(
    config: &'a ContainerConfig,
    host: &Host,
) -> Result<Option<&'a SeLinuxContext>, Error> {
    match &config.selinux {
        None => Ok(None),
        Some(label) if label.disable => Ok(None),
        Some(_) if !host.selinux => Err(bad("selinux", "this host does not use SELinux")),
        Some(label) => Ok(Some(label)),
    }
}

fn user(label: &SeLinuxContext) -> &str {
    part(&label.user, "system_u")
}

fn level(label: &SeLinuxContext) -> &str {
    part(&label.level, "s0")
}

fn part<'a>(given: &'a str, default: &'a str) -> &'a str {
    if given.is_empty() { default } else { given }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_lacks_is_refused_unless_it_is_nothing() {
        let host = |apparmor| Host { apparmor, ..Host::default() };
        let config = |apparmor| ContainerConfig { apparmor, ..ContainerConfig::default() };
        let found = |wanted, there| apparmor(&config(wanted), &host(there)).ok();

        assert_eq!(found(AppArmor::Host, Loaded::Off), Some(None));
        assert_eq!(found(AppArmor::Host, Loaded::NoProfile), Some(None));
        assert_eq!(found(AppArmor::Host, Loaded::Profile), Some(Some(PROFILE.into())));
        assert_eq!(found(AppArmor::Unconfined, Loaded::Off), Some(None));
        assert_eq!(found(AppArmor::Unconfined, Loaded::Profile), Some(Some("unconfined".into())));
        assert_eq!(found(AppArmor::Default, Loaded::Off), None);
        assert_eq!(found(AppArmor::Default, Loaded::NoProfile), None);
    }

    #[test]
    fn labels_are_completed() {
        let label = SeLinuxContext { level: "s0:c1,c2".into(), ..SeLinuxContext::default() };
        let config = ContainerConfig { selinux: Some(label), ..ContainerConfig::default() };
        let host = Host { selinux: true, ..Host::default() };

        let process = process_label(&config, &host).unwrap().unwrap();
        let files = mount_label(&config, &host).unwrap().unwrap();

        assert_eq!(process, "system_u:system_r:container_t:s0:c1,c2");
        assert_eq!(files, "system_u:object_r:container_file_t:s0:c1,c2");
        assert!(process_label(&config, &Host::default()).is_err());
    }
}
