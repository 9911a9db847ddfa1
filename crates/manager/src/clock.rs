//! The clock liveness is measured with: it goes on while the machine sleeps and nobody sets it.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Time since the machine booted, sleep included.
pub(crate) fn boot_time() -> Duration {
    // CLOCK_BOOTTIME exists since Linux 2.6.39; a clock that stands still declares nobody down.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}
