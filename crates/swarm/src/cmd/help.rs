//! `swarm help [COMMAND...]`

use crate::options::Cli;
use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Help {
    /// Command to explain, such as `service create`
    command: Vec<String>,
}

impl Help {
    /// That of one command.
    pub(crate) fn of(command: &str) -> Self {
        Self { command: vec![command.to_owned()] }
    }
}

pub(crate) fn run(args: &Help, out: &mut Printer) -> anyhow::Result<()> {
    let mut whole = Cli::whole();
    // Only a built command knows its full name and the options of every command.
    whole.build();
    let mut found = &mut whole;
    for (depth, name) in args.command.iter().enumerate() {
        let typed = args.command[..=depth].join(" ");
        found = found
            .find_subcommand_mut(name)
            .ok_or_else(|| anyhow::anyhow!("no command `swarm {typed}`; see `swarm help`"))?;
    }
    Ok(out.bytes(found.render_long_help().to_string().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::printer;

    fn help(command: &[&str]) -> Result<String, String> {
        let (mut out, text, _) = printer(None, false);
        let command = command.iter().map(|&word| word.to_owned()).collect();
        run(&Help { command }, &mut out).map_err(|why| why.to_string())?;
        Ok(text.text())
    }

    #[test]
    fn any_command_is_explained() {
        assert!(help(&[]).unwrap().contains("Usage: swarm [OPTIONS] <COMMAND>"));
        let scale = help(&["service", "scale"]).unwrap();
        assert!(scale.contains("Usage: swarm service scale"), "{scale}");
        assert_eq!(help(&["nope"]), Err("no command `swarm nope`; see `swarm help`".into()));
    }
}
