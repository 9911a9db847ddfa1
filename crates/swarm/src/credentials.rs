//! Credentials of registries, from Docker's `config.json`.
//!
//! Only what stands in the file: credential helpers are programs, and none is run.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};
use swarm_types::Sensitive;
use swarm_types::image::ImageRef;

use crate::output;

/// Key of Docker's own registry.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The credentials for the image's registry as Docker's `X-Registry-Auth`; empty when the file
/// has none for it.
///
/// # Errors
///
/// When the image is no reference, or the file cannot be read.
pub(crate) fn of_image(image: &str) -> anyhow::Result<Sensitive> {
    let reference: ImageRef = image.parse().with_context(|| format!("read the name {image}"))?;
    let Some(path) = output::config_path().filter(|path| path.exists()) else {
        return Ok(Sensitive::default());
    };
    let read = || -> anyhow::Result<Sensitive> {
        let config: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        of_registry(reference.domain(), &config)
    };
    read().with_context(|| format!("read the credentials in {}", path.display()))
}

fn of_registry(domain: &str, config: &Value) -> anyhow::Result<Sensitive> {
    let keys = match domain {
        "docker.io" => vec![DOCKER_HUB.to_owned(), "docker.io".to_owned()],
        _ => vec![domain.to_owned(), format!("https://{domain}"), format!("https://{domain}/v1/")],
    };
    let Some((key, entry)) = keys.iter().find_map(|key| Some((key, config["auths"].get(key)?)))
    else {
        return Ok(Sensitive::default());
    };
    let mut user = entry["username"].as_str().unwrap_or_default().to_owned();
    let mut password = entry["password"].as_str().unwrap_or_default().to_owned();
    if let Some(auth) = entry["auth"].as_str().filter(|auth| !auth.is_empty()) {
        let plain = STANDARD.decode(auth).context("the entry is not base64")?;
        let plain = String::from_utf8(plain).context("the entry is not UTF-8")?;
        let (name, word) = plain.split_once(':').context("the entry is not USER:PASSWORD")?;
        (user, password) = (name.to_owned(), word.trim_end_matches('\0').to_owned());
    }
    let token = entry["identitytoken"].as_str().unwrap_or_default();
    if user.is_empty() && token.is_empty() {
        return Ok(Sensitive::default());
    }
    let header = json!({
        "username": user, "password": password, "identitytoken": token, "serveraddress": key,
    });
    Ok(Sensitive::new(URL_SAFE.encode(header.to_string()).into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(domain: &str, config: &Value) -> Option<Value> {
        let found = of_registry(domain, config).unwrap();
        let plain = URL_SAFE.decode(found.expose()).unwrap();
        (!plain.is_empty()).then(|| serde_json::from_slice(&plain).unwrap())
    }

    #[test]
    fn the_entry_of_the_registry_is_passed_on() {
        let auth = STANDARD.encode("me:pa:ss");
        let config =
            json!({"auths": {"r.local:5000": {"auth": auth}, (DOCKER_HUB): {"auth": auth}}});

        let found = header("r.local:5000", &config).unwrap();
        assert_eq!((&found["username"], &found["password"]), (&json!("me"), &json!("pa:ss")));
        assert_eq!(header("docker.io", &config).unwrap()["serveraddress"], DOCKER_HUB);
        assert_eq!(header("other", &config), None);
        assert!(of_registry("x", &json!({"auths": {"x": {"auth": "***"}}})).is_err());
    }
}
