//! The `swarm` program. Reads what was typed, runs one command, prints what went wrong.

mod cmd;
mod credentials;
mod flags;
mod options;
mod output;
mod terminal;
mod usage;
mod view;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use options::Cli;
use output::Printer;

fn main() -> ExitCode {
    // One of these runs per container: it comes before all that costs memory.
    if let Some(dir) = log_dir(std::env::args_os().skip(1)) {
        swarm_runtime::write_logs(&dir);
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(usage) => return refuse(&usage),
    };
    let mut out = Printer::new(cli.global.format.clone(), cli.global.quiet);
    match run(cli, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => out.end(&error).into(),
    }
}

/// The directory in `log-writer DIR`, which containerd calls for a container's output.
fn log_dir(mut args: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    args.next().filter(|first| first == "log-writer")?;
    args.next().map(PathBuf::from)
}

/// Help is a result; a usage error ends with 1, as Docker's does.
fn refuse(usage: &clap::Error) -> ExitCode {
    // There is nowhere left to tell that it cannot be told.
    let _ = if usage.use_stderr() {
        let args: Vec<String> =
            std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
        std::io::stderr().write_all(usage::text(usage, &args).as_bytes())
    } else {
        usage.print()
    };
    if usage.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run(cli: Cli, out: &mut Printer) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(cmd::run(cli, out));
    // A command that is done must not wait for its leftovers, such as a read of the terminal.
    runtime.shutdown_background();
    result
}
