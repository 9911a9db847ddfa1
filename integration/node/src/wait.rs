//! Waiting for conditions.

use std::time::{Duration, Instant};

/// How long anything may take. Generous: it is only ever used up by a failure.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `look` finds what it wants; an `Err` says what it saw instead.
///
/// # Panics
///
/// When nothing was found within [`DEADLINE`]; the message ends with what was seen last.
#[track_caller]
pub fn until<T>(wanted: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if Instant::now() > deadline => {
                panic!("not within {} s: {wanted}; last seen: {seen}", DEADLINE.as_secs())
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}
