use std::fs;

use super::*;

/// A host's cgroup files as captured, below a directory that stands for `/sys/fs/cgroup`.
struct Captured {
    dir: tempfile::TempDir,
    mounts: String,
}

impl Captured {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), mounts: String::new() }
    }

    /// Mounts a hierarchy and puts the container's files into it.
    fn with(mut self, at: &str, kind: &str, options: &str, files: &[(&str, &str)]) -> Self {
        let root = self.dir.path().join(at);
        let cgroup = root.join("swarm/task");
        fs::create_dir_all(&cgroup).unwrap();
        for (name, text) in files {
            fs::write(cgroup.join(name), text).unwrap();
        }
        let line =
            format!("30 24 0:26 / {} rw,nosuid - {kind} {kind} rw{options}\n", root.display());
        self.mounts.push_str(&line);
        self
    }

    fn usage(&self) -> Usage {
        Hierarchies::read(&self.mounts).usage(Path::new("/swarm/task")).unwrap()
    }
}

const MEMORY_V1: &str = "cache 20480000\nrss 3403776\ninactive_file 1\nhierarchical_memory_limit 67108864\ntotal_cache 20480000\ntotal_inactive_file 16384000\n";
const MEMORY_V2: &str =
    "anon 3403776\nfile 20480000\nkernel_stack 32768\ninactive_anon 0\ninactive_file 16384000\n";
const BLKIO: &str = "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 12288\n254:0 Discard 0\n254:0 Total 12288\n254:16 Read 1\nTotal 12289\n";
const CPU_V2: &str =
    "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\nnr_periods 3\nnr_throttled 1\n";

fn expected() -> Usage {
    Usage {
        cpu_ns: 1_234_567_000,
        memory_bytes: 8_616_000,
        memory_limit_bytes: Some(67_108_864),
        pids: 5,
        block: Block { read: 4097, written: 8192 },
    }
}

fn legacy(captured: Captured) -> Captured {
    let memory: &[(&str, &str)] = &[
        ("memory.usage_in_bytes", "25000000\n"),
        ("memory.stat", MEMORY_V1),
        ("memory.limit_in_bytes", "67108864\n"),
    ];
    captured
        .with("cpu,cpuacct", "cgroup", ",cpu,cpuacct", &[("cpuacct.usage", "1234567000\n")])
        .with("memory", "cgroup", ",memory", memory)
        .with("pids", "cgroup", ",pids", &[("pids.current", "5\n")])
        .with("blkio", "cgroup", ",blkio", &[("blkio.throttle.io_service_bytes_recursive", BLKIO)])
}

#[test]
fn version_1_is_read_from_each_hierarchy() {
    assert_eq!(legacy(Captured::new()).usage(), expected());
}

#[test]
fn both_at_once_are_read_where_the_controllers_are() {
    let hybrid = legacy(Captured::new()).with(
        "unified",
        "cgroup2",
        ",nsdelegate",
        &[("cpu.stat", "usage_usec 1\n"), ("pids.current", "9\n")],
    );
    assert_eq!(hybrid.usage(), expected());
}

#[test]
fn version_2_is_read_from_one_directory() {
    let files: &[(&str, &str)] = &[
        ("cpu.stat", CPU_V2),
        ("memory.current", "25000000\n"),
        ("memory.stat", MEMORY_V2),
        ("memory.max", "67108864\n"),
        ("pids.current", "5\n"),
        (
            "io.stat",
            "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n254:16 rbytes=1 wbytes=0 rios=1 wios=0\n",
        ),
    ];
    let unified = Captured::new().with("", "cgroup2", ",nsdelegate,memory_recursiveprot", files);
    assert_eq!(unified.usage(), expected());
}

#[test]
fn no_bound_is_told_in_two_ways_and_counters_may_be_missing() {
    assert_eq!(limit("max\n"), None);
    assert_eq!(limit("9223372036854771712\n"), None);
    assert_eq!(limit("1048576\n"), Some(1_048_576));
    let bare = Captured::new().with("", "cgroup2", "", &[("cpu.stat", CPU_V2)]);
    assert_eq!(bare.usage(), Usage { cpu_ns: 1_234_567_000, ..Usage::default() });
    let gone = Hierarchies::read(&bare.mounts).usage(Path::new("/swarm/other"));
    assert!(gone.is_err());
}

#[test]
fn a_cache_larger_than_the_use_takes_nothing_away() {
    assert_eq!(resident("100", 200), 100);
    assert_eq!(resident("200", 50), 150);
}
