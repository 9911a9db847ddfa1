//! What the commands that remove all that is unused have in common.

use std::io::{BufRead, IsTerminal};

use swarm_client::ClientError;

use crate::output::Printer;

/// Whether somebody used or removed it since it was listed: no failure of a prune, as with Docker.
pub(super) fn outrun(why: &ClientError) -> bool {
    why.is_missing() || why.is_in_the_way()
}

/// Asks whether to go on. Without a terminal there is nobody to ask.
pub(super) fn confirmed(warning: &str, what: &str, out: &mut Printer) -> anyhow::Result<()> {
    let stdin = std::io::stdin();
    anyhow::ensure!(
        stdin.is_terminal(),
        "{what} prune asks before it removes anything, and here is no terminal to ask at: \
         pass --force"
    );
    out.prompt(format_args!(
        "WARNING! This will remove {warning}.\nAre you sure you want to continue? [y/N] "
    ));
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    let yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    anyhow::ensure!(yes, "{what} prune has been cancelled");
    Ok(())
}
