//! The program containerd starts for a container's output, as small as it can be; what the tests
//! put in the place of `swarm log-writer`.

use std::path::Path;

fn main() {
    if let Some(dir) = std::env::args_os().nth(2) {
        swarm_runtime::write_logs(Path::new(&dir));
    }
}
