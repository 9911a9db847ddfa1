//! A wall clock of its own for one program, which the kernel has none of: time namespaces leave
//! `CLOCK_REALTIME` alone.
//!
//! Preloaded (`LD_PRELOAD`), it answers `clock_gettime` in place of the C library, and adds to the
//! wall clock as many seconds as the file named by `SWARM_TEST_CLOCK` holds: 8 bytes, signed, of
//! this machine's order. The file is mapped, so writing it moves the clock of a running program
//! at once. All other clocks are the kernel's. The product knows nothing of it.

use std::ffi::CStr;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use libc::{c_int, clockid_t, timespec};

const FILE: &CStr = c"SWARM_TEST_CLOCK";

/// What the C library calls by that name.
///
/// # Safety
///
/// `time` points to a `timespec` of the caller, or is one the kernel refuses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    // SAFETY: the caller's promise is what the system call asks for.
    let outcome = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    if outcome != 0 {
        return -1;
    }
    if clock == libc::CLOCK_REALTIME {
        // SAFETY: the kernel has just written it.
        unsafe { (*time).tv_sec += offset() };
    }
    0
}

/// Seconds to add; 0 without a file.
fn offset() -> i64 {
    static OFFSET: OnceLock<Option<&'static AtomicI64>> = OnceLock::new();
    let offset = OFFSET.get_or_init(mapped);
    offset.map_or(0, |offset| offset.load(Ordering::Relaxed))
}

/// The number in the file, for as long as the program runs.
fn mapped() -> Option<&'static AtomicI64> {
    // SAFETY: the name ends with a zero byte, and so does what is returned. Nothing here sets
    // variables of the environment.
    let path = unsafe { libc::getenv(FILE.as_ptr()) };
    if path.is_null() {
        return None;
    }
    // SAFETY: as above.
    let file = unsafe { libc::open(path, libc::O_RDONLY | libc::O_CLOEXEC) };
    let (read, shared) = (libc::PROT_READ, libc::MAP_SHARED);
    // SAFETY: a new mapping that overlaps nothing; a bad file is refused.
    let page = unsafe { libc::mmap(ptr::null_mut(), size_of::<i64>(), read, shared, file, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: mapped pages are aligned, and this one stays. Only its reader is here, and it reads
    // at once what others write at once.
    Some(unsafe { &*page.cast::<AtomicI64>() })
}
