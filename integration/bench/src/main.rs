//! `bench [--smoke] [NAME...]`
//!
//! Prints one line per figure, `name value unit`, and nothing else on standard output. A figure
//! that was taken several times is the median, with `_min` and `_max` beside it. `--smoke` takes
//! fewer and shorter runs, to show that the figures can be taken at all.
//!
//! Daemons are real ones, in networks of their own with nothing but loopback in them.

mod agents;
mod cgroup;
mod cluster;
mod control;
mod create;
mod ctr;
mod figure;
mod library;
mod process;
mod start;
mod tasks;
mod throughput;
mod writes;

use std::process::ExitCode;

use figure::note;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// How much is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Effort {
    /// What the documents quote.
    Full,
    /// As little as shows that it works.
    Smoke,
}

/// A group of figures by its name.
struct Bench {
    name: &'static str,
    run: fn(Effort) -> Outcome,
}

const BENCHES: [Bench; 11] = [
    Bench { name: "start", run: start::run },
    Bench { name: "create", run: create::run },
    Bench { name: "throughput", run: throughput::run },
    Bench { name: "tasks", run: tasks::run },
    Bench { name: "cluster", run: cluster::run },
    Bench { name: "writes", run: writes::run },
    Bench { name: "agents", run: agents::run },
    Bench { name: "state", run: library::state },
    Bench { name: "raft", run: library::raft },
    Bench { name: "planner", run: library::planner },
    Bench { name: "sim", run: library::sim },
];

fn main() -> ExitCode {
    let (flags, names): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let effort = match flags.as_slice() {
        [] => Effort::Full,
        [flag] if flag == "--smoke" => Effort::Smoke,
        other => return fail(&format!("unknown flag {}; there is --smoke", other.join(" "))),
    };
    if let Some(unknown) = names.iter().find(|name| !BENCHES.iter().any(|it| it.name == **name)) {
        let known: Vec<_> = BENCHES.iter().map(|bench| bench.name).collect();
        return fail(&format!("no figures called {unknown}; there are: {}", known.join(" ")));
    }
    for bench in
        BENCHES.iter().filter(|it| names.is_empty() || names.iter().any(|name| name == it.name))
    {
        note(format_args!("{} ...", bench.name));
        if let Err(error) = (bench.run)(effort) {
            return fail(&format!("{}: {error}", bench.name));
        }
    }
    ExitCode::SUCCESS
}

fn fail(why: &str) -> ExitCode {
    note(why);
    ExitCode::FAILURE
}
