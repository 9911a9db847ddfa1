//! What a command runs as: the container's process, with what is asked for changed.

use prost_types::Any;
use serde_json::{Value, json};

use super::{ExecConfig, Rights, Terminal};
use crate::container::CAPABILITIES;
use crate::container::user::{self, Identity};
use crate::{Error, Runtime};

const PROCESS: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";

impl Runtime {
    /// The specification of a command.
    pub(super) async fn exec_process(&self, id: &str, config: &ExecConfig) -> Result<Any, Error> {
        let bad = |why: String| Error::BadConfig { field: "exec", why };
        if config.args.is_empty() {
            return Err(bad("says no command".into()));
        }
        let spec = self.container(id).await?.spec.unwrap_or_default();
        let mut spec: Value =
            serde_json::from_slice(&spec.value).map_err(|why| bad(why.to_string()))?;
        let identity = match config.user.as_str() {
            "" => None,
            user => {
                let mounts = self.mounts(id).await?;
                let mounts = mounts.ok_or_else(|| Error::NotFound { id: id.into() })?;
                Some(user::resolve(user, &[], &mounts)?)
            }
        };
        let process = process(spec["process"].take(), config, identity.as_ref());
        let value = serde_json::to_vec(&process).map_err(|why| bad(why.to_string()))?;
        Ok(Any { type_url: PROCESS.into(), value })
    }
}

fn process(mut process: Value, config: &ExecConfig, identity: Option<&Identity>) -> Value {
    process["args"] = json!(config.args);
    process["env"] = json!(env(&process["env"], config));
    process["terminal"] = json!(config.terminal != Terminal::None);
    if !config.dir.is_empty() {
        process["cwd"] = json!(std::path::Path::new("/").join(&config.dir));
    }
    if let Some(identity) = identity {
        let Identity { uid, gid, groups } = identity;
        process["user"] = json!({ "uid": uid, "gid": gid, "additionalGids": groups });
        // As for the first process: only root holds them from the start.
        let held = match uid {
            0 => process["capabilities"]["bounding"].clone(),
            _ => json!([]),
        };
        process["capabilities"]["effective"] = held.clone();
        process["capabilities"]["permitted"] = held;
    }
    if config.rights == Rights::All {
        let all = json!(capabilities());
        for set in ["bounding", "effective", "permitted"] {
            process["capabilities"][set] = all.clone();
        }
    }
    process
}

/// Later ones win and keep the place of the first; a key alone removes it.
fn env(own: &Value, config: &ExecConfig) -> Vec<String> {
    let own = own.as_array().into_iter().flatten().filter_map(Value::as_str).map(String::from);
    // As Docker: terminals have a kind.
    let kind = (config.terminal != Terminal::None).then(|| "TERM=xterm".to_owned());
    let mut env: Vec<String> = Vec::new();
    for entry in kind.into_iter().chain(own).chain(config.env.iter().cloned()) {
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

/// Every capability that can be given here: the OCI runtime refuses what it lacks itself.
fn capabilities() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let held = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let held = held.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let names = CAPABILITIES.iter().enumerate().filter(|(number, _)| held & (1 << number) != 0);
    names.map(|(_, name)| format!("CAP_{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Value {
        json!({
            "args": ["server"], "env": ["PATH=/bin", "A=1"], "cwd": "/srv", "noNewPrivileges": true,
            "user": { "uid": 33, "gid": 33 },
            "capabilities": { "bounding": ["CAP_KILL"], "effective": [], "permitted": [] },
        })
    }

    fn config() -> ExecConfig {
        ExecConfig { args: vec!["sh".into()], ..ExecConfig::default() }
    }

    #[test]
    fn a_command_is_as_the_container_but_for_what_is_asked() {
        let made = process(own(), &config(), None);
        let expected = json!({
            "args": ["sh"], "env": ["PATH=/bin", "A=1"], "cwd": "/srv", "noNewPrivileges": true,
            "terminal": false, "user": { "uid": 33, "gid": 33 },
            "capabilities": { "bounding": ["CAP_KILL"], "effective": [], "permitted": [] },
        });
        assert_eq!(made, expected);

        let env = vec!["A=2".into(), "PATH".into()];
        let changed =
            ExecConfig { dir: "tmp".into(), env, terminal: Terminal::Of(None), ..config() };
        let made = process(own(), &changed, Some(&Identity::default()));
        assert_eq!(made["env"], json!(["TERM=xterm", "A=2"]));
        assert_eq!(made["cwd"], "/tmp");
        assert_eq!(made["terminal"], true);
        assert_eq!(made["user"]["uid"], 0);
        assert_eq!(made["capabilities"]["effective"], json!(["CAP_KILL"]));
    }

    #[test]
    fn all_rights_are_all_capabilities() {
        let made = process(own(), &ExecConfig { rights: Rights::All, ..config() }, None);
        for set in ["bounding", "effective", "permitted"] {
            let held = made["capabilities"][set].as_array().unwrap();
            assert_eq!(held.len(), capabilities().len(), "{set}");
            assert!(held.contains(&json!("CAP_CHOWN")), "{set}");
        }
    }
}
