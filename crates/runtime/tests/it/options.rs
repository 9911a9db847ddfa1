//! What a container can be asked to be, seen from inside.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use swarm_runtime::{
    AppArmor, BindOptions, ContainerConfig, Error, File, Mount, Network, Privileges, Propagation,
    Resources, Runtime, TmpfsOptions, Ulimit,
};

use crate::world::{World, shell};

/// Runs to the end of the script and tells what it wrote.
async fn ran(world: &World, config: ContainerConfig) -> String {
    let script = config.command[2].clone();
    let command = ["/bin/sh", "-c", &format!("{{ {script}; }} 2>&1; echo done")];
    let config = ContainerConfig { command: command.map(String::from).into(), ..config };
    world.runtime.create(&config).await.unwrap();
    world.runtime.start(&config.id).await.unwrap();
    let output = world.output_with(&config.id, "done").await;
    world.runtime.wait(&config.id).await.unwrap();
    output
}

async fn refused(world: &World, config: ContainerConfig) -> String {
    let before = world.holdings();
    let refused = world.runtime.create(&config).await.unwrap_err();
    assert!(matches!(refused, Error::BadConfig { .. }), "{refused:?}");
    assert_eq!(world.holdings(), before);
    refused.to_string()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(String::from).collect()
}

fn tmpfs(target: &str, options: TmpfsOptions) -> Mount {
    Mount::Tmpfs { target: target.into(), read_only: false, options }
}

fn bind(source: &Path, target: &str, options: BindOptions) -> Mount {
    Mount::Bind { source: source.into(), target: target.into(), read_only: false, options }
}

#[tokio::test]
async fn a_process_is_who_and_what_it_was_asked_to_be() {
    let world = World::with_busybox().await;
    let script = "id -G; umask; grep -E 'Cap(Bnd|Eff)|NoNewPrivs|Seccomp:' /proc/self/status; \
        cat /proc/self/oom_score_adj; ulimit -n; ulimit -Hn; ulimit -c; \
        cat /proc/sys/kernel/shmmax /proc/sys/fs/mqueue/msg_max";
    let ulimit = |name: &str, soft, hard| Ulimit { name: name.into(), soft, hard };
    let config = ContainerConfig {
        groups: words("4242 root"),
        capability_add: words("CAP_NET_ADMIN"),
        capability_drop: words("ALL"),
        privileges: Privileges::NoNew,
        resources: Resources { oom_score_adj: 321, ..Resources::default() },
        ulimits: vec![ulimit("nofile", 100, 200), ulimit("core", 0, 0)],
        sysctls: [("kernel.shmmax", "123456"), ("fs.mqueue.msg_max", "11")]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        ..shell("who", script)
    };

    let output = ran(&world, config).await;

    let lines: Vec<&str> = output.lines().collect();
    let expected = [
        "0 4242",
        "0022",
        "CapEff:\t0000000000001000",
        "CapBnd:\t0000000000001000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "321",
        "100",
        "200",
        "0",
        "123456",
        "11",
        "done",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_read_only_root_leaves_only_mounts_to_write() {
    let world = World::with_busybox().await;
    let script = "touch /x && echo root; touch /tmp/x && echo tmp; touch /dev/shm/x && echo shm; \
        touch /ro/x && echo ro; stat -c %a /t; df -k /t | tail -n1; stat -c %a-%u /owned; \
        cp /bin/busybox /t/ && /t/busybox true && echo runs-t; \
        cp /bin/busybox /exec/ && /exec/busybox true && echo runs-exec";
    let options = TmpfsOptions { size_bytes: 8 << 20, mode: 0o750, options: Vec::new() };
    let pairs = |pairs: &[&[&str]]| TmpfsOptions {
        options: pairs.iter().map(|pair| words(&pair.join(" "))).collect(),
        ..TmpfsOptions::default()
    };
    let read_only =
        Mount::Tmpfs { target: "/ro".into(), read_only: true, options: TmpfsOptions::default() };
    let config = ContainerConfig {
        read_only: true,
        mounts: vec![
            tmpfs("/tmp", TmpfsOptions::default()),
            tmpfs("/t", options),
            tmpfs("/owned", pairs(&[&["uid", "7"]])),
            tmpfs("/exec", pairs(&[&["exec"]])),
            read_only,
        ],
        ..shell("fixed", script)
    };

    let output = ran(&world, config).await;

    let lines: Vec<&str> = output.lines().filter(|line| !line.contains(": ")).collect();
    assert_eq!(lines[..3], ["tmp", "shm", "750"], "{output}");
    assert!(lines[3].split_whitespace().nth(1) == Some("8192"), "{output}");
    assert_eq!(lines[4..], ["1777-7", "runs-exec", "done"], "{output}");
}

#[tokio::test]
async fn binds_show_the_host_s_files() {
    let world = World::with_busybox().await;
    let host = world.dir().join("host");
    std::fs::create_dir_all(host.join("below")).unwrap();
    std::fs::write(host.join("file"), "of the host").unwrap();
    let missing = world.dir().join("made/when/needed");
    let create = BindOptions { create_mountpoint: true, ..BindOptions::default() };
    let Mount::Bind { source, options, .. } = bind(&host, "", BindOptions::default()) else {
        unreachable!()
    };
    let fixed = Mount::Bind { source, target: "/fixed".into(), read_only: true, options };
    let script = "cat /data/file; echo; echo mine > /data/new; touch /fixed/x || echo fixed; \
        touch /fixed/below/x || echo fixed-below; touch /made/x; cat /one";
    let config = ContainerConfig {
        mounts: vec![
            fixed,
            bind(&host, "/data", BindOptions::default()),
            bind(&missing, "/made", create),
            bind(&host.join("file"), "/one", BindOptions::default()),
        ],
        ..shell("bound", script)
    };

    let output = ran(&world, config).await;

    assert!(output.starts_with("of the host\n") && output.contains("of the hostdone"), "{output}");
    assert!(output.contains("fixed\n") && output.contains("fixed-below\n"), "{output}");
    assert_eq!(std::fs::read_to_string(host.join("new")).unwrap(), "mine\n");
    assert!(missing.join("x").exists());
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_leaves_nothing() {
    let world = World::with_busybox().await;
    let with = |mount: Mount| ContainerConfig { mounts: vec![mount], ..shell("no", "true") };
    let absent = bind(Path::new("/does/not/exist"), "/x", BindOptions::default());
    assert!(refused(&world, with(absent)).await.contains("bind source path does not exist"));
    let root = bind(Path::new("/tmp"), "/..", BindOptions::default());
    assert!(refused(&world, with(root)).await.contains("other than /"));
    let group = ContainerConfig { groups: words("nothing"), ..shell("no", "true") };
    assert!(refused(&world, group).await.contains("no group \"nothing\""));
    let init = ContainerConfig { init: true, ..shell("no", "true") };
    if !Path::new("/usr/bin/tini-static").exists() {
        assert!(refused(&world, init).await.contains("package tini"));
    }
    let sysctls = [("net.core.somaxconn".into(), "1".into())].into();
    let net = ContainerConfig { sysctls, ..shell("no", "true") };
    assert!(refused(&world, net).await.contains("net.core.somaxconn"));
    let apparmor = ContainerConfig { apparmor: AppArmor::Default, ..shell("no", "true") };
    if !Path::new("/sys/module/apparmor").exists() {
        assert!(refused(&world, apparmor).await.contains("AppArmor"));
    }
}

#[tokio::test]
async fn files_appear_where_they_belong_whatever_links_are_there() {
    let world = World::with_busybox().await;
    let host = world.dir().join("files");
    std::fs::create_dir(&host).unwrap();
    let file = |name: &str, target: &str| {
        std::fs::write(host.join(name), format!("{name} of ours\n")).unwrap();
        File { source: host.join(name), target: target.into() }
    };
    let config = ContainerConfig {
        files: vec![file("hosts", "/etc/hosts"), file("key", "/run/secrets/key")],
        ..shell(
            "filed",
            "cat /etc/hosts /run/secrets/key; echo more >> /etc/hosts && echo wrote; \
             echo more >> /run/secrets/key || echo fixed",
        )
    };

    let output = ran(&world, config).await;

    assert!(output.starts_with("hosts of ours\nkey of ours\nwrote\n"), "{output}");
    assert!(output.contains("fixed\n"), "{output}");
    assert_eq!(std::fs::read_to_string(host.join("hosts")).unwrap(), "hosts of ours\nmore\n");
    assert_eq!(std::fs::read_to_string(host.join("key")).unwrap(), "key of ours\n");
}

#[tokio::test]
async fn an_init_runs_the_command() {
    let world = World::with_busybox().await;
    let program = world.dir().join("tini-static");
    std::fs::write(&program, "#!/bin/sh\nshift\necho init-runs\nexec \"$@\"\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let options = swarm_runtime::Options { init: program, ..world.options.clone() };
    let runtime = Runtime::connect(options).await.unwrap();
    let config = ContainerConfig { init: true, ..shell("inited", "ls -l /sbin/docker-init") };

    runtime.create(&config).await.unwrap();
    runtime.start("inited").await.unwrap();

    let output = world.output_with("inited", "docker-init").await;
    assert!(output.starts_with("init-runs\n"), "{output}");
}

#[tokio::test]
async fn a_network_namespace_is_joined() {
    let world = World::with_busybox().await;
    let netns = Netns::new(world.dir().join("netns"));
    let script = "grep -c : /proc/net/dev; cat /proc/sys/net/ipv4/ip_unprivileged_port_start \
        /proc/sys/net/core/somaxconn; hostname; readlink /proc/self/ns/net";
    let config = ContainerConfig {
        network: Network::Netns(netns.0.clone()),
        hostname: Some("own".into()),
        sysctls: [("net.core.somaxconn".into(), "77".into())].into(),
        ..shell("netted", script)
    };

    let output = ran(&world, config).await;

    let inode = netns.0.metadata().unwrap().ino();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines, ["1", "0", "77", "own", &format!("net:[{inode}]"), "done"]);
}

#[tokio::test]
async fn memory_and_swap_are_bound_as_asked() {
    let world = World::with_busybox().await;
    let memory = Path::new("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes");
    if !memory.exists() {
        return;
    }
    let resources = Resources {
        memory_bytes: 32 << 20,
        swap_bytes: Some(48 << 20),
        swappiness: Some(7),
        ..Resources::default()
    };
    let config = ContainerConfig { resources, ..shell("bounded", "sleep 600") };
    world.runtime.create(&config).await.unwrap();
    world.runtime.start("bounded").await.unwrap();

    let cgroups = world.tenant.cgroups("bounded");
    let cgroup = cgroups.iter().find(|dir| dir.starts_with("/sys/fs/cgroup/memory")).unwrap();
    let read = |file: &str| std::fs::read_to_string(cgroup.join(file)).unwrap().trim().to_owned();
    assert_eq!(read("memory.limit_in_bytes"), (32 << 20).to_string());
    assert_eq!(read("memory.memsw.limit_in_bytes"), (48 << 20).to_string());
    assert_eq!(read("memory.swappiness"), "7");
}

#[tokio::test]
async fn a_terminal_is_one_and_its_input_never_ends() {
    let world = World::with_busybox().await;
    let out = world.dir().join("out");
    std::fs::create_dir(&out).unwrap();
    let mounts = vec![bind(&out, "/out", BindOptions::default())];
    let quiet = |id: &str, script: &str| ContainerConfig {
        mounts: mounts.clone(),
        log: swarm_runtime::Log::None,
        ..shell(id, script)
    };
    let tty = "[ -t 0 ] && [ -t 1 ] && tty > /out/tty; \
        timeout 1 head -c1; [ $? = 143 ] && echo waited >> /out/tty; echo $TERM >> /out/tty";
    let terminal = ContainerConfig { tty: true, open_stdin: true, ..quiet("terminal", tty) };
    let alone = ContainerConfig { open_stdin: true, ..quiet("alone", "true") };

    world.runtime.create(&terminal).await.unwrap();
    world.runtime.start("terminal").await.unwrap();
    world.runtime.wait("terminal").await.unwrap();

    let told = std::fs::read_to_string(out.join("tty")).unwrap();
    assert_eq!(told, "/dev/pts/0\nwaited\nxterm\n");
    assert!(refused(&world, alone).await.contains("open_stdin"));
}

#[tokio::test]
async fn mounts_travel_where_they_are_let() {
    let world = World::with_busybox().await;
    let propagation = Propagation::RSlave;
    let options = BindOptions { propagation, ..BindOptions::default() };
    let source = world.dir().join("travel");
    std::fs::create_dir(&source).unwrap();
    let shared = |path: &Path| {
        nix::mount::mount(
            None::<&str>,
            path,
            None::<&str>,
            nix::mount::MsFlags::MS_SHARED,
            None::<&str>,
        )
        .unwrap();
    };
    nix::mount::mount(
        Some("tmpfs"),
        &source,
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        None::<&str>,
    )
    .unwrap();
    shared(&source);
    std::fs::create_dir(source.join("later")).unwrap();
    let config = ContainerConfig {
        mounts: vec![bind(&source, "/travel", options)],
        ..shell(
            "travels",
            "echo ready; while [ ! -e /travel/later/x ]; do sleep 0.05; done; echo seen",
        )
    };
    world.runtime.create(&config).await.unwrap();
    world.runtime.start("travels").await.unwrap();
    world.output_with("travels", "ready").await;

    nix::mount::mount(
        Some("tmpfs"),
        &source.join("later"),
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        None::<&str>,
    )
    .unwrap();
    std::fs::write(source.join("later/x"), "").unwrap();

    world.output_with("travels", "seen").await;
}

/// A network namespace kept by a file.
struct Netns(PathBuf);

impl Netns {
    fn new(file: PathBuf) -> Self {
        std::fs::File::create(&file).unwrap();
        let place = file.clone();
        // In a thread of its own, which ends with its namespace.
        let made = std::thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            let own = Path::new("/proc/thread-self/ns/net");
            let flags = nix::mount::MsFlags::MS_BIND;
            nix::mount::mount(Some(own), &place, None::<&str>, flags, None::<&str>).unwrap();
        });
        made.join().unwrap();
        Self(file)
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}
