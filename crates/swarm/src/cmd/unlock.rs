//! `swarm unlock`
//!
//! Reads the unlock key from the terminal, without showing it, or a line from stdin.

use std::io::{BufRead, IsTerminal, Read};

use swarm_client::{Client, LocalState};
use swarm_types::Sensitive;
use zeroize::Zeroizing;

use crate::output::Printer;
use crate::terminal;

/// Longest line that is read.
const MOST: usize = 1024;

#[derive(clap::Args, Debug)]
pub(crate) struct Unlock {}

pub(crate) async fn run(_: Unlock, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    match client.info().await?.state {
        LocalState::Locked => {}
        LocalState::Inactive => anyhow::bail!("this node is not part of a swarm"),
        _ => anyhow::bail!("swarm is not locked"),
    }
    let key = read(out)?;
    Ok(client.unlock(&key).await?)
}

fn read(out: &mut Printer) -> anyhow::Result<Sensitive> {
    let stdin = std::io::stdin();
    let hidden = match stdin.is_terminal() {
        true => {
            out.prompt("Enter unlock key: ");
            Some(terminal::Hidden::enter()?)
        }
        false => None,
    };
    let mut line = Zeroizing::new(String::with_capacity(MOST));
    stdin.lock().take(MOST as u64).read_line(&mut line)?;
    if hidden.is_some() {
        out.prompt("\n");
    }
    Ok(Sensitive::new(line.trim().as_bytes().to_vec()))
}
