//! Bounds the kernel holds a container to.

use oci_spec::runtime::{
    LinuxCpuBuilder, LinuxDeviceCgroupBuilder, LinuxMemory, LinuxMemoryBuilder, LinuxPidsBuilder,
    LinuxResources, LinuxResourcesBuilder, PosixRlimit, PosixRlimitBuilder, PosixRlimitType,
};

use super::{Host, bad, built};
use crate::Error;
use crate::container::{Resources, Ulimit};

/// Length of the time slice a CPU limit counts in, in microseconds.
const CPU_PERIOD: u64 = 100_000;
/// As Docker: with less, containers die before they can say why.
const LEAST_MEMORY: u64 = 6 << 20;

pub(super) fn resources(limits: Resources, host: &Host) -> Result<LinuxResources, Error> {
    let none = LinuxDeviceCgroupBuilder::default().allow(false).access("rwm");
    let none = none.build().map_err(built)?;
    let mut resources = LinuxResourcesBuilder::default().devices(vec![none]);
    if limits.nano_cpus > 0 {
        let quota = u128::from(limits.nano_cpus) * u128::from(CPU_PERIOD) / 1_000_000_000;
        // The kernel refuses less than a millisecond.
        let quota = i64::try_from(quota).unwrap_or(i64::MAX).max(1000);
        let cpu = LinuxCpuBuilder::default().quota(quota).period(CPU_PERIOD);
        resources = resources.cpu(cpu.build().map_err(built)?);
    }
    if let Some(memory) = memory(limits, host)? {
        resources = resources.memory(memory);
    }
    if limits.pids > 0 {
        let pids = LinuxPidsBuilder::default().limit(signed(limits.pids));
        resources = resources.pids(pids.build().map_err(built)?);
    }
    resources.build().map_err(built)
}

fn memory(limits: Resources, host: &Host) -> Result<Option<LinuxMemory>, Error> {
    let Resources { memory_bytes, swappiness, .. } = limits;
    let mut memory = LinuxMemoryBuilder::default();
    if memory_bytes > 0 {
        if memory_bytes < LEAST_MEMORY {
            return Err(bad("resources.memory_bytes", "must be at least 6 MiB"));
        }
        memory = memory.limit(signed(memory_bytes));
    }
    if let Some(swap) = swap(limits, host)? {
        memory = memory.swap(swap);
    }
    if let Some(swappiness) = swappiness {
        if swappiness > 100 {
            return Err(bad("resources.swappiness", "must be between 0 and 100"));
        }
        if !host.has_swappiness {
            let why = "cannot be set on this host: cgroup v2 has none";
            return Err(bad("resources.swappiness", why));
        }
        memory = memory.swappiness(swappiness);
    }
    let wanted = memory_bytes > 0 || swappiness.is_some();
    wanted.then(|| memory.build().map_err(built)).transpose()
}

/// Memory and swap together; `None` means not bound.
fn swap(limits: Resources, host: &Host) -> Result<Option<i64>, Error> {
    let refuse = |why: &str| Err(bad("resources.swap_bytes", why));
    match (limits.memory_bytes, limits.swap_bytes.unwrap_or(0)) {
        (0, 0) => Ok(None),
        (0, _) => refuse("needs a memory limit"),
        // As Docker: as much swap as memory, and not the host's whole.
        (memory, 0) => Ok(host.counts_swap.then(|| signed(memory.saturating_mul(2)))),
        (_, -1) => Ok(host.counts_swap.then_some(-1)),
        (memory, swap) if swap < signed(memory) => {
            refuse("counts memory and swap, and must not be less than the memory limit")
        }
        (_, _) if !host.counts_swap => {
            refuse("cannot be bound on this host: start its kernel with swapaccount=1")
        }
        (_, swap) => Ok(Some(swap)),
    }
}

/// Names are those of [`Ulimit`].
pub(super) fn rlimits(ulimits: &[Ulimit]) -> Result<Vec<PosixRlimit>, Error> {
    let amount = |limit: i64| u64::try_from(limit).unwrap_or(u64::MAX);
    let limit = |ulimit: &Ulimit| {
        let name = format!("RLIMIT_{}", ulimit.name.to_ascii_uppercase());
        let kind: Result<PosixRlimitType, _> = name.parse();
        let kind = kind.map_err(|_| bad("ulimits", format!("no such limit: {:?}", ulimit.name)))?;
        let limit = PosixRlimitBuilder::default().typ(kind);
        limit.soft(amount(ulimit.soft)).hard(amount(ulimit.hard)).build().map_err(built)
    };
    ulimits.iter().map(limit).collect()
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Resources = Resources {
        memory_bytes: 64 << 20,
        swap_bytes: None,
        swappiness: None,
        nano_cpus: 0,
        pids: 0,
        oom_score_adj: 0,
    };

    fn built(limits: Resources) -> Result<serde_json::Value, String> {
        let host = Host { counts_swap: true, has_swappiness: true, ..Host::default() };
        let built = resources(limits, &host).map_err(|refused| refused.to_string())?;
        Ok(serde_json::to_value(built).unwrap())
    }

    #[test]
    fn limits_are_what_docker_makes_of_them() {
        let limits = Resources { nano_cpus: 1_500_000_000, pids: 9, ..Resources::default() };
        let found = built(limits).unwrap();
        assert_eq!(found["cpu"]["quota"], 150_000);
        assert_eq!(found["cpu"]["period"], 100_000);
        assert_eq!(found["cpu"]["shares"], serde_json::Value::Null);
        assert_eq!(found["pids"]["limit"], 9);
        assert_eq!(found["memory"], serde_json::Value::Null);
        let tiny = built(Resources { nano_cpus: 1, ..Resources::default() }).unwrap();
        assert_eq!(tiny["cpu"]["quota"], 1000);
    }

    #[test]
    fn swap_counts_memory_too() {
        let swap = |swap_bytes| built(Resources { swap_bytes, ..MEMORY });
        assert_eq!(swap(None).unwrap()["memory"]["swap"], 128 << 20);
        assert_eq!(swap(Some(0)).unwrap()["memory"]["swap"], 128 << 20);
        assert_eq!(swap(Some(-1)).unwrap()["memory"]["swap"], -1);
        assert_eq!(swap(Some(80 << 20)).unwrap()["memory"]["swap"], 80 << 20);
        assert!(swap(Some(1 << 20)).unwrap_err().contains("swap_bytes"));
        let alone = Resources { swap_bytes: Some(1 << 30), ..Resources::default() };
        assert!(built(alone).unwrap_err().contains("memory limit"));
    }

    #[test]
    fn what_the_host_cannot_bound_is_refused() {
        let refused = |limits| resources(limits, &Host::default()).unwrap_err().to_string();
        assert!(refused(Resources { swap_bytes: Some(1 << 30), ..MEMORY }).contains("swapaccount"));
        assert!(refused(Resources { swappiness: Some(1), ..MEMORY }).contains("swappiness"));
        assert!(resources(MEMORY, &Host::default()).is_ok());
        assert!(built(Resources { swappiness: Some(101), ..MEMORY }).is_err());
        assert!(built(Resources { memory_bytes: 1 << 20, ..MEMORY }).is_err());
        let swappy = Resources { swappiness: Some(0), ..Resources::default() };
        assert_eq!(built(swappy).unwrap()["memory"]["swappiness"], 0);
    }

    #[test]
    fn unlimited_is_the_largest_number() {
        let ulimit = |name: &str, soft, hard| Ulimit { name: name.into(), soft, hard };
        let limits = rlimits(&[ulimit("nofile", 5, -1), ulimit("rttime", 1, 1)]).unwrap();
        let found = serde_json::to_value(limits).unwrap();
        assert_eq!(found[0]["type"], "RLIMIT_NOFILE");
        assert_eq!(
            (found[0]["soft"].as_u64(), found[0]["hard"].as_u64()),
            (Some(5), Some(u64::MAX))
        );
        assert!(rlimits(&[ulimit("files", 1, 1)]).is_err());
    }
}
