//! Credentials that `docker login` left: `$DOCKER_CONFIG/config.json`, else `~/.docker`.
//!
//! As Docker does it: a helper for that registry comes first, then the helper for all, then what
//! the file itself holds. A registry nobody logged in to gets no credentials.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE;
use serde::{Deserialize, Serialize};
use swarm_types::Sensitive;
use swarm_types::image::ImageRef;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::output;

/// A helper may ask a key ring, never a person.
const PATIENCE: Duration = Duration::from_secs(30);
/// Under this name Docker Hub's credentials are kept.
const HUB: &str = "https://index.docker.io/v1/";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

/// One registry in the file, and what goes to the daemon: the same fields in both.
#[derive(Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase", default)]
struct Entry {
    #[serde(skip_serializing_if = "unset")]
    username: Zeroizing<String>,
    #[serde(skip_serializing_if = "unset")]
    password: Zeroizing<String>,
    #[serde(skip_serializing_if = "unset")]
    auth: Zeroizing<String>,
    #[serde(skip_serializing_if = "unset")]
    identitytoken: Zeroizing<String>,
    #[serde(skip_serializing_if = "unset")]
    registrytoken: Zeroizing<String>,
}

fn unset(text: &str) -> bool {
    text.is_empty()
}

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: Zeroizing<String>,
    secret: Zeroizing<String>,
}

/// Credentials for an image's registry as Docker's X-Registry-Auth; empty when there are none.
///
/// # Errors
///
/// When the image is no reference, the file is not what Docker writes, or a helper fails.
pub(crate) async fn of_image(image: &str) -> anyhow::Result<Sensitive> {
    let image: ImageRef = image.parse().with_context(|| format!("image name {image:?}"))?;
    let Some(path) = output::config_path() else { return Ok(Sensitive::default()) };
    let text = match std::fs::read(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Sensitive::default()),
        Err(why) => return Err(why).with_context(|| format!("read {}", path.display())),
    };
    // What serde says of a wrong file may quote it, and with it a secret.
    let config = serde_json::from_slice(&text);
    let config: Config = match config {
        Ok(config) => config,
        Err(why) => bail!("{} line {}: not what Docker writes", path.display(), why.line()),
    };
    let entry = find(config, image.domain()).await?;
    if entry == Entry::default() {
        return Ok(Sensitive::default());
    }
    let json = Zeroizing::new(serde_json::to_vec(&entry)?);
    Ok(Sensitive::new(BASE64_URL_SAFE.encode(&*json).into_bytes()))
}

async fn find(mut config: Config, domain: &str) -> anyhow::Result<Entry> {
    let server = if domain == "docker.io" { HUB } else { domain };
    let helper = config.cred_helpers.get(server).or_else(|| config.cred_helpers.get(domain));
    let helper = helper.unwrap_or(&config.creds_store);
    if !helper.is_empty() {
        let asked = tokio::time::timeout(PATIENCE, ask(helper, server)).await;
        let found = asked.with_context(|| format!("docker-credential-{helper} does not answer"))?;
        if let Some(entry) = found? {
            return Ok(entry);
        }
    }
    let key = config.auths.keys().find(|key| *key == server || host(key) == server).cloned();
    Ok(key.and_then(|key| config.auths.remove(&key)).unwrap_or_default())
}

/// Older files have URLs where newer ones have hosts.
fn host(key: &str) -> &str {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    bare.split('/').next().unwrap_or(bare)
}

/// `None` when the helper knows of no login. It is ended when nobody waits for it any more.
async fn ask(helper: &str, server: &str) -> anyhow::Result<Option<Entry>> {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    ensure!(helper.bytes().all(named), "{helper:?} is no name of a credential helper");
    let program = format!("docker-credential-{helper}");
    let mut command = Command::new(&program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.kill_on_drop(true).spawn().with_context(|| format!("run {program}"))?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read its input may know the answer all the same.
        let _ = input.write_all(server.as_bytes()).await;
    }
    let output = child.wait_with_output().await.with_context(|| format!("run {program}"))?;
    let said = Zeroizing::new(output.stdout);
    if !output.status.success() {
        let text = String::from_utf8_lossy(&said);
        ensure!(text.contains("credentials not found"), "{program}: {}", text.trim());
        return Ok(None);
    }
    let Ok(answer) = serde_json::from_slice::<Answer>(&said) else {
        bail!("{program} answers with something else than credentials")
    };
    Ok(Some(if answer.username.as_str() == "<token>" {
        Entry { identitytoken: answer.secret, ..Entry::default() }
    } else {
        Entry { username: answer.username, password: answer.secret, ..Entry::default() }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(json: &str) -> Entry {
        serde_json::from_str(json).unwrap()
    }

    async fn found(config: &str, domain: &str) -> anyhow::Result<Entry> {
        find(serde_json::from_str(config).unwrap(), domain).await
    }

    #[tokio::test]
    async fn the_registry_is_found_under_every_name_docker_gives_it() {
        let config = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "aHVi"},
            "r.io:5000": {"auth": "bmV3"},
            "https://old.io/v2/": {"identitytoken": "t"}
        }, "credHelpers": {}, "HttpHeaders": {}}"#;
        for (domain, expected) in [
            ("docker.io", r#"{"auth":"aHVi"}"#),
            ("r.io:5000", r#"{"auth":"bmV3"}"#),
            ("old.io", r#"{"identitytoken":"t"}"#),
            ("r.io", "{}"),
        ] {
            let found = found(config, domain).await.unwrap();
            assert!(found == entry(expected), "{domain}");
            assert_eq!(serde_json::to_string(&found).unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_helper_that_cannot_be_run_fails_instead_of_going_without() {
        for helper in ["no-such-helper", "../../bin/sh", "a b"] {
            let config =
                format!(r#"{{"credsStore": "{helper}", "auths": {{"r.io": {{"auth": "eA=="}}}}}}"#);
            let refused = found(&config, "r.io").await.map(|_| ()).unwrap_err().to_string();
            assert!(refused.contains(helper), "{refused}");
        }
    }
}
