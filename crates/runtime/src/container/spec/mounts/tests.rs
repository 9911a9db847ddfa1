use super::*;
use crate::container::spec::tests::{image, with_parts};
use crate::container::{ContainerConfig, File};

fn planned(target: &str, source: Source) -> Planned {
    Planned { target: target.into(), source, read_only: false }
}

fn host() -> Host {
    let mountinfo = "1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
                     2 1 0:9 / /srv rw - tmpfs tmpfs rw\n\
                     3 1 0:9 / /mnt rw master:1 - tmpfs tmpfs rw\n";
    Host {
        kernel: (6, 1),
        mountinfo: mountinfo.into(),
        shared_files: vec!["/etc/hosts"],
        ..Host::default()
    }
}

fn all(config: &ContainerConfig, planned: &[Planned]) -> Result<Vec<(String, String)>, String> {
    let found = with_parts(config, &image(), planned, &host(), mounts);
    let line = |mount: Mount| {
        let options = mount.options().clone().unwrap_or_default().join(",");
        (mount.destination().display().to_string(), options)
    };
    Ok(found.map_err(|refused| refused.to_string())?.into_iter().map(line).collect())
}

fn options(mount: Planned) -> Result<String, String> {
    let all = all(&ContainerConfig::default(), &[mount])?;
    Ok(all.into_iter().find(|(to, _)| to == "/x").map(|(_, options)| options).unwrap_or_default())
}

#[test]
fn outer_mounts_come_before_those_within_and_replace_the_usual_ones() {
    let volume = |target: &str| planned(target, Source::Volume("/volumes/x/_data".into()));
    let tmpfs = planned("/dev/shm", Source::Tmpfs(TmpfsOptions::default()));

    let found = all(&ContainerConfig::default(), &[volume("/a/b/c"), tmpfs, volume("/a")]).unwrap();

    let targets: Vec<&str> = found.iter().map(|(to, _)| to.as_str()).collect();
    let usual = ["/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue"];
    assert_eq!(targets[..6], usual);
    assert_eq!(targets[6..], ["/a", "/etc/hosts", "/dev/shm", "/a/b/c"]);
    let dev = all(&ContainerConfig::default(), &[volume("/dev")]).unwrap();
    assert!(dev.iter().all(|(to, _)| !to.starts_with("/dev/")));
}

#[test]
fn binds_carry_docker_s_options() {
    let bind = |options: BindOptions| planned("/x", Source::Bind("/data".into(), options));
    let read_only = |mount: Planned| Planned { read_only: true, ..mount };
    assert_eq!(options(bind(BindOptions::default())).unwrap(), "rbind,rprivate");
    assert_eq!(options(read_only(bind(BindOptions::default()))).unwrap(), "rbind,rro,rprivate");
    let top = BindOptions { read_only_non_recursive: true, ..BindOptions::default() };
    assert_eq!(options(read_only(bind(top))).unwrap(), "rbind,ro,rprivate");
    let flat = BindOptions { non_recursive: true, ..BindOptions::default() };
    assert_eq!(options(bind(flat)).unwrap(), "bind,rprivate");
}

#[test]
fn mounts_travel_only_where_the_host_lets_them() {
    let bind = |from: &str, propagation| {
        let options = BindOptions { propagation, ..BindOptions::default() };
        planned("/x", Source::Bind(from.into(), options))
    };
    assert_eq!(options(bind("/data", Propagation::RShared)).unwrap(), "rbind,rshared");
    assert_eq!(options(bind("/mnt/x", Propagation::Slave)).unwrap(), "rbind,slave");
    assert!(options(bind("/srv/x", Propagation::Slave)).unwrap_err().contains("/srv/x"));
    assert!(options(bind("/mnt/x", Propagation::Shared)).unwrap_err().contains("/mnt/x"));
    let root = |propagation| root_propagation(&[bind("/data", propagation)]);
    assert_eq!(root(Propagation::Shared).as_deref(), Some("shared"));
    assert_eq!(root(Propagation::RSlave).as_deref(), Some("rslave"));
    assert_eq!(root(Propagation::RPrivate), None);
}

#[test]
fn a_tmpfs_takes_its_own_options_only() {
    let tmpfs = |options: &[&[&str]]| {
        let options = options.iter().map(|option| words(option)).collect();
        let tmpfs = TmpfsOptions { size_bytes: 4096, mode: 0o700, options };
        options_of(tmpfs)
    };
    fn options_of(tmpfs: TmpfsOptions) -> Result<String, String> {
        options(planned("/x", Source::Tmpfs(tmpfs)))
    }
    let usual = "noexec,nosuid,nodev,rprivate";
    assert_eq!(options_of(TmpfsOptions::default()).unwrap(), format!("{usual},mode=1777"));
    let found = tmpfs(&[&["exec"], &["uid", "7"]]).unwrap();
    assert_eq!(found, format!("{usual},mode=700,size=4096,exec,uid=7"));
    assert!(tmpfs(&[&["bind"]]).is_err());
    assert!(tmpfs(&[&["uid", "7,bind"]]).is_err());
    assert!(tmpfs(&[&["uid", "7", "8"]]).is_err());
    assert!(tmpfs(&[&[]]).is_err());
}

#[test]
fn files_may_be_written_as_in_docker() {
    let file = |target: &str| File { source: "/run/x".into(), target: target.into() };
    let files = vec![file("/etc/hosts"), file("/run/secrets/key")];
    let config = ContainerConfig { files, ..ContainerConfig::default() };

    let open = all(&config, &[]).unwrap();
    let closed = all(&ContainerConfig { read_only: true, ..config.clone() }, &[]).unwrap();
    let covered = all(&config, &[planned("/etc/hosts", Source::Volume("/v".into()))]).unwrap();

    let of = |all: &[(String, String)], path: &str| {
        all.iter().filter(|(to, _)| to == path).map(|(_, options)| options.clone()).collect()
    };
    let found: Vec<String> = of(&open, "/etc/hosts");
    assert_eq!(found, ["rbind,rprivate"]);
    let found: Vec<String> = of(&open, "/run/secrets/key");
    assert_eq!(found, ["rbind,rprivate,ro"]);
    let found: Vec<String> = of(&closed, "/etc/hosts");
    assert_eq!(found, ["rbind,rprivate,ro"]);
    let found: Vec<String> = of(&covered, "/etc/hosts");
    assert_eq!(found.len(), 1);
}

#[test]
fn an_init_that_is_not_there_names_its_package() {
    let config = ContainerConfig { init: true, ..ContainerConfig::default() };
    assert!(all(&config, &[]).unwrap_err().contains("package tini"));
}
