//! What the commands that remove all that is unused have in common.

use std::io::{BufRead, IsTerminal};

use crate::output::Printer;

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
