//! `swarm unlock-key [--rotate] [-q]`
//!
//! Prints what unlocks a manager after it was restarted; with `-q` the key only.

use std::fmt;

use swarm_client::Client;
use swarm_types::Sensitive;

use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct UnlockKey {
    /// Replace the key first; a manager that is down needs the one before
    #[arg(long)]
    rotate: bool,
}

pub(crate) async fn run(args: UnlockKey, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let key = match args.rotate {
        true => client.rotate_unlock_key().await?,
        false => client.unlock_key().await?,
    };
    anyhow::ensure!(!key.expose().is_empty(), "no unlock key is set");
    if out.quiet() {
        return Ok(out.line(text(&key))?);
    }
    if args.rotate {
        out.line("Successfully rotated manager unlock key.\n")?;
    }
    Ok(out.line(Command(&key))?)
}

/// What to do with an unlock key, as Docker says it.
pub(crate) struct Command<'a>(pub(crate) &'a Sensitive);

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "To unlock a swarm manager after it restarts, run the `swarm unlock`")?;
        writeln!(f, "command and provide the following key:\n")?;
        writeln!(f, "    {}\n", text(self.0))?;
        writeln!(f, "Remember to store this key in a password manager, since without it you")?;
        f.write_str("will not be able to restart the manager.")
    }
}

/// Shown because it was asked for.
fn text(key: &Sensitive) -> &str {
    std::str::from_utf8(key.expose()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stands_alone_behind_four_blanks() {
        let key = Sensitive::new(b"SWMKEY-1-abc".to_vec());

        let shown = Command(&key).to_string();

        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 7);
        assert_eq!(lines[2..5], ["", "    SWMKEY-1-abc", ""]);
    }
}
