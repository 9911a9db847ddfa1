//! Waiting for conditions, with a deadline that says what was there instead.

use std::time::{Duration, Instant};

use crate::DevError;

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `look` finds what it wants. `Ok(Err(seen))` is what it saw instead; an error ends
/// the wait.
pub(crate) fn until<T>(
    wanted: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Result<T, String>, DevError>,
) -> Result<T, DevError> {
    let deadline = Instant::now() + limit;
    loop {
        match look()? {
            Ok(found) => return Ok(found),
            Err(seen) if Instant::now() > deadline => {
                return Err(DevError::TooLate {
                    wanted: wanted.to_owned(),
                    seconds: limit.as_secs(),
                    seen,
                });
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}
