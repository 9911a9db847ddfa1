//! What is wrong with a command line, in Docker's words and layout: one sentence, how the
//! command is used, and where its help is.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

use crate::options::Cli;

/// Commands of Docker's that come later, by the one they belong to.
const LATER: [(&str, &[&str]); 2] = [
    ("swarm", &["config", "network", "plugin", "secret", "stack", "system"]),
    ("swarm image", &["build", "history", "import", "push", "save", "tag"]),
];

/// What to print for an error of the command line `args`, which begins with the program. Help
/// and versions are printed as they are.
pub(crate) fn text(error: &Error, args: &[String]) -> String {
    use ErrorKind as Kind;
    if matches!(
        error.kind(),
        Kind::DisplayHelp
            | Kind::DisplayVersion
            | Kind::DisplayHelpOnMissingArgumentOrSubcommand
            | Kind::MissingSubcommand
    ) {
        return error.to_string();
    }
    let mut root = Cli::whole();
    root.build();
    let mut command = meant(&root, args).clone();
    let path = command.get_bin_name().unwrap_or("swarm").to_owned();
    let usage = command.render_usage();
    let sentence = sentence(error, &path);
    format!("{sentence}\n\n{usage}\n\nRun '{path} --help' for more information\n")
}

/// The innermost command that is named.
fn meant<'c>(root: &'c Command, args: &[String]) -> &'c Command {
    let mut command = root;
    let mut args = args.iter().skip(1);
    while let Some(arg) = args.next() {
        if let Some(option) = arg.strip_prefix('-') {
            if takes_next(command, option.trim_start_matches('-')) {
                args.next();
            }
        } else if let Some(inner) = command.find_subcommand(arg) {
            command = inner;
        } else {
            break;
        }
    }
    command
}

/// Whether the option's value is the argument behind it.
fn takes_next(command: &Command, option: &str) -> bool {
    let named = |arg: &&clap::Arg| {
        arg.get_long() == Some(option)
            || arg.get_short().is_some_and(|short| option == short.to_string())
    };
    let arg = command.get_arguments().find(named);
    arg.is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
}

fn sentence(error: &Error, path: &str) -> String {
    let given = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let arg = given(ContextKind::InvalidArg).unwrap_or_default();
    let value = given(ContextKind::InvalidValue).unwrap_or_default();
    match error.kind() {
        ErrorKind::InvalidValue if value.is_empty() => {
            format!("flag needs an argument: {}", bare(&arg))
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            format!("invalid argument {value:?} for {}: {}", quoted(&arg), reason(error))
        }
        ErrorKind::UnknownArgument => match arg.strip_prefix('-').map(|it| it.chars().next()) {
            None => format!("'{path}' takes no argument {arg:?}"),
            Some(Some('-')) => format!("unknown flag: {arg}"),
            Some(letter) => {
                let letter = letter.map(String::from).unwrap_or_default();
                format!("unknown shorthand flag: '{letter}' in {arg}")
            }
        },
        ErrorKind::InvalidSubcommand => {
            let word = given(ContextKind::InvalidSubcommand).unwrap_or_default();
            let known = LATER.iter().any(|(of, words)| *of == path && words.contains(&&*word));
            let what = if known { "not supported yet" } else { "unknown command" };
            format!("{what}: {path} {word}")
        }
        ErrorKind::MissingRequiredArgument => format!("'{path}' requires {arg}"),
        ErrorKind::ArgumentConflict => {
            let other = given(ContextKind::PriorArg).unwrap_or_default();
            format!("conflicting options: {} and {}", bare(&arg), bare(&other))
        }
        _ => plain(error),
    }
}

/// A flag without what stands for its value.
fn bare(arg: &str) -> &str {
    arg.split([' ', '[', '=']).next().unwrap_or(arg)
}

fn quoted(arg: &str) -> String {
    if arg.starts_with('-') { format!("{:?} flag", bare(arg)) } else { arg.to_owned() }
}

/// Why a value does not do.
fn reason(error: &Error) -> String {
    if let Some(why) = std::error::Error::source(error) {
        return why.to_string();
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(words)) => format!("one of {}", words.join(", ")),
        _ => "not allowed here".to_owned(),
    }
}

/// The parser's own sentence, without its tips.
fn plain(error: &Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn told(line: &str) -> String {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        text(&Cli::try_parse_from(&args).unwrap_err(), &args)
    }

    #[test]
    fn a_sentence_says_what_is_wrong_in_dockers_words() {
        for (line, sentence) in [
            (
                "swarm service update --replicas -1 web",
                "invalid argument \"-1\" for \"--replicas\" flag: expected a whole number, 0 or more",
            ),
            (
                "swarm service update --update-parallelism x web",
                "invalid argument \"x\" for \"--update-parallelism\" flag: expected a whole number, 0 or more",
            ),
            (
                "swarm service create --health-interval -1s web",
                "invalid argument \"-1s\" for \"--health-interval\" flag: duration cannot be negative",
            ),
            (
                "swarm service create --limit-memory lots web",
                "invalid argument \"lots\" for \"--limit-memory\" flag: invalid size: 'lots', expected a number with a unit such as 512m",
            ),
            (
                "swarm service create --memory-swappiness 101 web",
                "invalid argument \"101\" for \"--memory-swappiness\" flag: expected a whole number from -1 to 100",
            ),
            (
                "swarm service create -p x web",
                "invalid argument \"x\" for \"--publish\" flag: invalid containerPort: x: expected a number from 1 to 65535",
            ),
            (
                "swarm service create --tty=x web",
                "invalid argument \"x\" for \"--tty\" flag: one of true, false",
            ),
            (
                "swarm service scale web",
                "invalid argument \"web\" for <SERVICE=REPLICAS>...: invalid scale specifier 'web': expected SERVICE=REPLICAS",
            ),
            ("swarm service update --replica 3 web", "unknown flag: --replica"),
            ("swarm service update -Z web", "unknown shorthand flag: 'Z' in -Z"),
            ("swarm service update --replicas", "flag needs an argument: --replicas"),
            ("swarm service update a b", "'swarm service update' takes no argument \"b\""),
            ("swarm service update", "'swarm service update' requires <SERVICE>"),
            ("swarm service foo", "unknown command: swarm service foo"),
            ("swarm network ls", "not supported yet: swarm network"),
            ("swarm image tag a b", "not supported yet: swarm image tag"),
            ("swarm service inspect --pretty -f x web", "conflicting options: --pretty and -f"),
        ] {
            let told = told(line);
            assert_eq!(told.lines().next(), Some(sentence), "{line}: {told}");
            assert!(!told.contains("tip:") && !told.contains("similar"), "{told}");
        }
    }

    #[test]
    fn the_usage_is_that_of_the_command_whatever_stands_before_it() {
        for line in [
            "swarm service update --nope web",
            "swarm --socket /s --format x service update --nope web",
            "swarm --format=x service -q update --nope web",
        ] {
            let expected = "unknown flag: --nope\n\n\
                Usage: swarm service update [OPTIONS] <SERVICE>\n\n\
                Run 'swarm service update --help' for more information\n";
            assert_eq!(told(line), expected);
        }
    }
}
