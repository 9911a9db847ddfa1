//! The `swarm` program. Reads what was typed, runs one command, prints what went wrong.

mod cmd;
mod options;
mod output;
mod view;

use std::process::ExitCode;

use clap::Parser;

use options::Cli;
use output::Printer;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = Printer::new(cli.global.format, cli.global.quiet);
    match run(cli, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, out: &mut Printer) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(cmd::run(cli, out));
    // A command that gave up on a request must not hang on its leftovers.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}
