//! `swarm completion bash|zsh|fish`

use clap_complete::Shell;

use crate::options::Cli;
use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Completion {
    /// Shell the script is for
    #[arg(value_parser = shell, value_name = "bash|zsh|fish")]
    shell: Shell,
}

pub(crate) fn run(args: &Completion, out: &mut Printer) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::whole(), "swarm", &mut script);
    Ok(out.bytes(&script)?)
}

fn shell(text: &str) -> Result<Shell, String> {
    match text {
        "bash" => Ok(Shell::Bash),
        "zsh" => Ok(Shell::Zsh),
        "fish" => Ok(Shell::Fish),
        _ => Err("one of bash, zsh, fish".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::printer;

    #[test]
    fn scripts_know_the_commands() {
        for name in ["bash", "zsh", "fish"] {
            let (mut out, text, _) = printer(None, false);
            run(&Completion { shell: shell(name).unwrap() }, &mut out).unwrap();
            assert!(text.text().contains("explain"), "{name}");
        }
        assert!(shell("csh").is_err());
    }
}
