//! The first process: what it runs, as whom, with which environment.

use std::path::Path;

use oci_spec::runtime::{Process, ProcessBuilder, UserBuilder};

use super::capabilities::{self, Names};
use super::{Parts, bad, built, confine, limits};
use crate::Error;
use crate::container::{ContainerConfig, Privileges};
use crate::image::ImageConfig;

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where the init program appears in a container, as in Docker.
pub(super) const INIT: &str = "/sbin/docker-init";

pub(super) fn process(parts: &Parts<'_>, bounding: &Names) -> Result<Process, Error> {
    let Parts { config, image, identity, host, .. } = *parts;
    if config.open_stdin && !config.tty {
        return Err(bad("open_stdin", "needs a terminal: set tty, too"));
    }
    let user = UserBuilder::default()
        .uid(identity.uid)
        .gid(identity.gid)
        .additional_gids(identity.groups.clone());
    let dirs = [config.dir.as_str(), image.working_dir.as_str()];
    let dir = dirs.into_iter().find(|dir| !dir.is_empty()).unwrap_or_default();
    let mut process = ProcessBuilder::default()
        .terminal(config.tty)
        .user(user.build().map_err(built)?)
        .args(args(config, image)?)
        .env(env(config, image, &host.name))
        .cwd(Path::new("/").join(dir))
        .capabilities(capabilities::capabilities(bounding, identity).map_err(built)?)
        .no_new_privileges(config.privileges == Privileges::NoNew)
        .rlimits(limits::rlimits(&config.ulimits)?)
        // Else it inherits containerd's, which the kernel kills last.
        .oom_score_adj(oom_score(config)?);
    if let Some(profile) = confine::apparmor(config, host)? {
        process = process.apparmor_profile(profile);
    }
    if let Some(label) = confine::process_label(config, host)? {
        process = process.selinux_label(label);
    }
    process.build().map_err(built)
}

fn oom_score(config: &ContainerConfig) -> Result<i32, Error> {
    let score = i32::try_from(config.resources.oom_score_adj).ok();
    let score = score.filter(|score| (-1000..=1000).contains(score));
    score.ok_or_else(|| bad("resources.oom_score_adj", "must be between -1000 and 1000"))
}

/// A command replaces the image's entry point and command, arguments only the latter.
fn args(config: &ContainerConfig, image: &ImageConfig) -> Result<Vec<String>, Error> {
    let (command, args) = match (config.command.is_empty(), config.args.is_empty()) {
        (false, _) => (&config.command, &config.args),
        (true, false) => (&image.entrypoint, &config.args),
        (true, true) => (&image.entrypoint, &image.cmd),
    };
    let init = if config.init { &[INIT, "--"][..] } else { &[] };
    let words = command.iter().chain(args).cloned();
    let words: Vec<String> = init.iter().map(|word| (*word).to_owned()).chain(words).collect();
    if words.len() == init.len() {
        return Err(bad("command", "neither the service nor the image says what to run"));
    }
    Ok(words)
}

/// Later ones win and keep the place of the first; a key alone removes it.
fn env(config: &ContainerConfig, image: &ImageConfig, host: &str) -> Vec<String> {
    let hostname = format!("HOSTNAME={}", config.hostname.as_deref().unwrap_or(host));
    let terminal = config.tty.then(|| "TERM=xterm".to_owned());
    let mut env: Vec<String> = Vec::new();
    let defaults = [PATH.to_owned(), hostname].into_iter().chain(terminal);
    for entry in defaults.chain(image.env.iter().chain(&config.env).cloned()) {
        let key = entry.split('=').next().unwrap_or_default();
        let at = env.iter().position(|known| known.split('=').next() == Some(key));
        match (at, entry.contains('=')) {
            (Some(at), true) => env[at] = entry,
            (None, true) => env.push(entry),
            (Some(at), false) => drop(env.remove(at)),
            (None, false) => {}
        }
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::spec::tests::{image, words};

    #[test]
    fn a_command_replaces_the_entry_point_and_arguments_the_command() {
        let run = |command: &str, arguments: &str| {
            let (command, args) = (words(command), words(arguments));
            let config = ContainerConfig { command, args, ..ContainerConfig::default() };
            super::args(&config, &image()).unwrap().join(" ")
        };
        assert_eq!(run("", ""), "entry cmd");
        assert_eq!(run("", "x y"), "entry x y");
        assert_eq!(run("own", ""), "own");
        assert_eq!(run("own", "x"), "own x");
    }

    #[test]
    fn an_init_runs_the_command_and_is_not_one() {
        let config = ContainerConfig { init: true, ..ContainerConfig::default() };
        assert_eq!(args(&config, &image()).unwrap(), words("/sbin/docker-init -- entry cmd"));
        assert!(args(&config, &ImageConfig::default()).is_err());
        assert!(args(&ContainerConfig::default(), &ImageConfig::default()).is_err());
    }

    #[test]
    fn later_variables_win_and_a_bare_key_removes() {
        let (hostname, env) = (Some("h".into()), words("A=3 B C=4 D"));
        let config = ContainerConfig { hostname, env, ..ContainerConfig::default() };
        let plain = super::env(&config, &image(), "host");
        let terminal = super::env(&ContainerConfig { tty: true, ..config }, &image(), "host");

        assert_eq!(plain, words("PATH=/bin HOSTNAME=h A=3 C=4"));
        assert_eq!(terminal, words("PATH=/bin HOSTNAME=h TERM=xterm A=3 C=4"));
    }

    #[test]
    fn without_a_name_of_its_own_it_is_called_as_the_host() {
        let env = env(&ContainerConfig::default(), &ImageConfig::default(), "host");
        assert_eq!(env, words(&format!("{PATH} HOSTNAME=host")));
    }
}
