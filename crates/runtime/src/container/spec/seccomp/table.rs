//! The default profile: what Docker's default profile allows, in a table of our own.
//!
//! Everything not named is refused with EPERM, except `clone3`, whose flags cannot be looked at:
//! it does not exist, so that programs fall back to `clone`. `io_uring` is refused as a whole.

use oci_spec::OciSpecError;
use oci_spec::runtime::LinuxSeccompOperator::{
    self, ScmpCmpEq, ScmpCmpGt, ScmpCmpLt, ScmpCmpMaskedEq,
};
use oci_spec::runtime::{Arch, LinuxSeccompAction};

use super::json::argument;
use super::{Profile, Rule, When, processor};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// The flags of `clone` that make namespaces.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// What every container may call.
const ALWAYS: [&str; 6] = [
    // Processes and threads.
    "capget capset execve execveat exit exit_group fork futex futex_requeue futex_time64 \
     futex_wait futex_waitv futex_wake get_robust_list get_thread_area getcpu getpriority \
     getrandom getrlimit getrusage ioprio_get ioprio_set kill landlock_add_rule \
     landlock_create_ruleset landlock_restrict_self membarrier pause pidfd_open pidfd_send_signal \
     prctl prlimit64 process_mrelease restart_syscall riscv_hwprobe rseq rt_sigaction \
     rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait \
     rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min \
     sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval \
     sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam \
     sched_setscheduler sched_yield seccomp set_robust_list set_thread_area set_tid_address \
     setpriority setrlimit sigaltstack signalfd signalfd4 sigprocmask sigreturn sysinfo tgkill \
     times tkill ugetrlimit umask uname uretprobe vfork wait4 waitid waitpid",
    // Who a process is.
    "getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getpgid getpgrp \
     getpid getppid getresgid getresgid32 getresuid getresuid32 getsid gettid getuid getuid32 \
     setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setpgid \
     setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setsid \
     setuid setuid32",
    // Memory.
    "brk madvise map_shadow_stack memfd_create memfd_secret mincore mlock mlock2 mlockall mmap \
     mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free \
     pkey_mprotect remap_file_pages shmat shmctl shmdt shmget",
    // Time.
    "adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime \
     clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep \
     setitimer time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 \
     timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 \
     timerfd_settime timerfd_settime64",
    // Messages between processes.
    "accept accept4 bind connect getpeername getsockname getsockopt ipc listen mq_getsetattr \
     mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 \
     mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 recv recvfrom recvmmsg recvmmsg_time64 \
     recvmsg semctl semget semop semtimedop semtimedop_time64 send sendmmsg sendmsg sendto \
     setsockopt shutdown socketcall socketpair",
    // Files and waiting for them.
    "access cachestat chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 \
     dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait \
     epoll_wait_old eventfd eventfd2 faccessat faccessat2 fadvise64 fadvise64_64 fallocate \
     fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 \
     fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs \
     fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr \
     getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel \
     io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl lchown \
     lchown32 lgetxattr link linkat listmount listxattr listxattrat llistxattr _llseek \
     lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at \
     newfstatat _newselect open openat openat2 poll ppoll ppoll_time64 pread64 preadv preadv2 \
     pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv \
     removexattr removexattrat rename renameat renameat2 rmdir select sendfile sendfile64 \
     setxattr setxattrat splice stat stat64 statfs statfs64 statmount statx symlink symlinkat \
     sync sync_file_range syncfs tee truncate truncate64 unlink unlinkat utime utimensat \
     utimensat_time64 utimes vmsplice write writev",
];

/// What some capability allows, all else being the kernel's to judge.
const WITH: [(&str, &str); 14] = [
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount \
         mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname \
         sethostname setns syslog umount umount2 unshare",
    ),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module init_module finit_module"),
    ("CAP_SYS_PACCT", "acct"),
    (
        "CAP_SYS_PTRACE",
        "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    ),
    ("CAP_SYS_RAWIO", "iopl ioperm"),
    ("CAP_SYS_TIME", "settimeofday stime clock_settime clock_settime64"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_BPF", "bpf"),
    ("CAP_PERFMON", "perf_event_open"),
];

/// What only some processors have.
const ON: [(&str, &str); 6] = [
    ("ppc64le", "sync_file_range2 swapcontext"),
    (
        "arm arm64",
        "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
    ),
    ("amd64 x32", "arch_prctl"),
    ("amd64 x32 386", "modify_ldt"),
    ("s390 s390x", "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"),
    ("riscv64", "riscv_flush_icache"),
];

/// What depends on the first argument: the call, how it compares, with what.
///
/// Of sockets, two kinds reach past the container: `AF_ALG` (38) into the kernel's cryptography,
/// `AF_VSOCK` (40) to the machine below. Of personalities, those that change how a program is
/// told about the machine, and none that weakens it.
const COMPARED: [(&str, LinuxSeccompOperator, u64); 8] = [
    ("socket", ScmpCmpLt, 38),
    ("socket", ScmpCmpEq, 39),
    ("socket", ScmpCmpGt, 40),
    ("personality", ScmpCmpEq, 0),
    ("personality", ScmpCmpEq, 0x8),
    ("personality", ScmpCmpEq, 0x2_0000),
    ("personality", ScmpCmpEq, 0x2_0008),
    ("personality", ScmpCmpEq, 0xffff_ffff),
];

pub(super) fn profile() -> Result<Profile, OciSpecError> {
    let with = WITH.map(|(capability, names)| {
        let only = When { capabilities: words(capability), ..When::default() };
        Rule { only, ..allow(names) }
    });
    let on = ON.map(|(processors, names)| {
        let only = When { processors: words(processors), ..When::default() };
        Rule { only, ..allow(names) }
    });
    let compared = COMPARED.into_iter().map(|(name, op, value)| {
        Ok(Rule { args: vec![argument(0, op, value, 0)?], ..allow(name) })
    });
    let compared: Vec<Rule> = compared.collect::<Result<_, OciSpecError>>()?;
    // From this kernel on, tracing cannot get around the filter.
    let traced = Rule {
        only: When { kernel: Some((4, 8)), ..When::default() },
        ..allow("process_vm_readv process_vm_writev ptrace")
    };
    let rules = ALWAYS.into_iter().map(allow);
    let rules = rules.chain([traced]).chain(with).chain(on).chain(compared).chain(clones()?);
    Ok(Profile {
        default: LinuxSeccompAction::ScmpActErrno,
        default_errno: Some(EPERM),
        architectures: architectures(),
        flags: Vec::new(),
        rules: rules.collect(),
    })
}

/// Who may not make namespaces makes processes without.
fn clones() -> Result<[Rule; 2], OciSpecError> {
    let never = || When { capabilities: words("CAP_SYS_ADMIN"), ..When::default() };
    let flags = usize::from(processor() == "s390x");
    let args = vec![argument(flags, ScmpCmpMaskedEq, NEW_NAMESPACES, 0)?];
    let clone = Rule { args, never: never(), ..allow("clone") };
    let (action, errno) = (LinuxSeccompAction::ScmpActErrno, Some(ENOSYS));
    Ok([clone, Rule { action, errno, never: never(), ..allow("clone3") }])
}

/// This processor and those whose programs it also runs. Without x32, which Docker lists: kernels
/// leave it out, and each one costs every start 7 ms of a processor.
fn architectures() -> Vec<Arch> {
    match processor() {
        "amd64" => vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86],
        "arm64" => vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm],
        "s390x" => vec![Arch::ScmpArchS390x, Arch::ScmpArchS390],
        _ => Vec::new(),
    }
}

fn allow(names: &str) -> Rule {
    Rule {
        names: words(names),
        action: LinuxSeccompAction::ScmpActAllow,
        errno: None,
        args: Vec::new(),
        only: When::default(),
        never: When::default(),
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(String::from).collect()
}
