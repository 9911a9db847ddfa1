//! The least a logger of containerd can do: what comes on its pipes goes to one file.
//!
//! Part of the floor that starting a task is compared with. containerd passes the container's
//! stdout as descriptor 3, its stderr as 4, and waits until 5 is closed.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;

/// One write to a pipe is at most this.
const PIECE: usize = 64 << 10;

fn main() -> std::io::Result<()> {
    let target = std::env::args().nth(2).unwrap_or_else(|| "/dev/null".to_owned());
    let mut log = File::options().create(true).append(true).open(target)?;
    // SAFETY: containerd starts a logger with these three open, and nothing else here owns them.
    let (stdout, stderr, ready) =
        unsafe { (File::from_raw_fd(3), File::from_raw_fd(4), File::from_raw_fd(5)) };
    drop(ready);
    let mut piece = vec![0; PIECE];
    // One after the other: the containers of the figures write nothing.
    for mut pipe in [stdout, stderr] {
        loop {
            let length = pipe.read(&mut piece)?;
            if length == 0 {
                break;
            }
            log.write_all(piece.get(..length).unwrap_or_default())?;
        }
    }
    Ok(())
}
