//! Which hosts serve a registry's images: `<registries.d>/HOST[:PORT]/{hosts.toml,ca.crt}`.
//!
//! A subset of containerd's file: `server`, `ca`, `client`, `skip_verify`, and a table
//! `[host."URL"]` per mirror with `capabilities` and the same three keys. Mirrors are tried in
//! the order of the file, the registry itself last. Any other key is refused, since a setting
//! that is not followed is worse than none. Plain HTTP is an `http://` URL; hosts of the
//! loopback need no file for it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::RegistryError;

/// One host to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Without a slash at its end.
    pub(super) url: String,
    /// Whether it may say what a tag means; otherwise it is asked for digests only.
    pub(super) resolves: bool,
    /// A mirror gets no credentials, and is told which registry is meant.
    pub(super) is_mirror: bool,
    pub(super) tls: Tls,
}

/// How a host is recognized, and this node by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tls {
    /// Files with certificates trusted besides the system's.
    pub(super) roots: Vec<PathBuf>,
    /// Files with certificate chain and key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
    pub(super) skip_verify: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    server: Option<String>,
    #[serde(default)]
    ca: Paths,
    client: Option<Client>,
    #[serde(default)]
    skip_verify: bool,
    #[serde(default)]
    host: toml::Table,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mirror {
    #[serde(default = "everything")]
    capabilities: Vec<Capability>,
    #[serde(default)]
    ca: Paths,
    client: Option<Client>,
    #[serde(default)]
    skip_verify: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Capability {
    Pull,
    Resolve,
    Push,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Paths {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

/// A file with both certificate and key, or `[["CERT", "KEY"]]`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Client {
    Joined(PathBuf),
    Pair([(PathBuf, PathBuf); 1]),
}

impl Default for Paths {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

fn everything() -> Vec<Capability> {
    vec![Capability::Pull, Capability::Resolve]
}

/// The hosts for `domain`, in the order they are asked.
pub(super) fn endpoints(domain: &str, dir: &Path) -> Result<Vec<Endpoint>, RegistryError> {
    let dir = dir.join(domain);
    let path = dir.join("hosts.toml");
    let bad = |why: String| RegistryError::Settings { file: path.clone(), why };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(why) => return Err(bad(why.to_string())),
    };
    let file: File = toml::from_str(&text).map_err(|why| bad(why.message().to_owned()))?;
    let mut endpoints = Vec::new();
    for (url, table) in file.host {
        let mirror: Mirror = table
            .try_into()
            .map_err(|why: toml::de::Error| bad(format!("host {url:?}: {}", why.message())))?;
        if !mirror.capabilities.contains(&Capability::Pull) {
            continue;
        }
        endpoints.push(Endpoint {
            url: checked(&url).map_err(bad)?,
            resolves: mirror.capabilities.contains(&Capability::Resolve),
            is_mirror: true,
            tls: tls(&dir, mirror.ca, mirror.client, mirror.skip_verify),
        });
    }
    let mut own = tls(&dir, file.ca, file.client, file.skip_verify);
    own.roots.extend(Some(dir.join("ca.crt")).filter(|ca| ca.exists()));
    let servers = match file.server {
        Some(url) => vec![checked(&url).map_err(bad)?],
        None => servers(domain),
    };
    let server = |url| Endpoint { url, resolves: true, is_mirror: false, tls: own.clone() };
    endpoints.extend(servers.into_iter().map(server));
    Ok(endpoints)
}

/// Where a registry without settings is.
fn servers(domain: &str) -> Vec<String> {
    if domain == "docker.io" {
        return vec!["https://registry-1.docker.io".into()];
    }
    let mut servers = vec![format!("https://{domain}")];
    if is_loopback(domain) {
        servers.push(format!("http://{domain}"));
    }
    servers
}

/// True for hosts that only this machine can be.
pub(super) fn is_loopback(domain: &str) -> bool {
    let host = match domain.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => domain,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn tls(dir: &Path, ca: Paths, client: Option<Client>, skip_verify: bool) -> Tls {
    let roots = match ca {
        Paths::One(path) => vec![path],
        Paths::Many(paths) => paths,
    };
    let client = client.map(|client| match client {
        Client::Joined(path) => (dir.join(&path), dir.join(path)),
        Client::Pair([(certificate, key)]) => (dir.join(certificate), dir.join(key)),
    });
    Tls { roots: roots.iter().map(|path| dir.join(path)).collect(), client, skip_verify }
}

/// Only the origin: a path would have to be put before `/v2/` or in its place.
fn checked(url: &str) -> Result<String, String> {
    let bad = |why: &str| format!("host {url:?}: {why}");
    let parsed = reqwest::Url::parse(url).map_err(|why| bad(&why.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(bad("not an http or https URL"));
    }
    let extra = parsed.path() != "/" || parsed.query().is_some() || parsed.fragment().is_some();
    if extra || !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(bad("only scheme, host and port are supported"));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(domain: &str, text: &str) -> Result<Vec<Endpoint>, RegistryError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(domain)).unwrap();
        std::fs::write(dir.path().join(domain).join("hosts.toml"), text).unwrap();
        endpoints(domain, dir.path())
    }

    fn urls(endpoints: &[Endpoint]) -> Vec<&str> {
        endpoints.iter().map(|endpoint| endpoint.url.as_str()).collect()
    }

    #[test]
    fn only_the_loopback_is_asked_in_plain_text_without_a_file() {
        let none = tempfile::tempdir().unwrap();
        for (domain, expected) in [
            ("docker.io", vec!["https://registry-1.docker.io"]),
            ("r.io:5000", vec!["https://r.io:5000"]),
            ("localhost:5000", vec!["https://localhost:5000", "http://localhost:5000"]),
            ("127.1.2.3", vec!["https://127.1.2.3", "http://127.1.2.3"]),
            ("[::1]:5", vec!["https://[::1]:5", "http://[::1]:5"]),
            ("128.0.0.1:5000", vec!["https://128.0.0.1:5000"]),
            ("localhost.io", vec!["https://localhost.io"]),
        ] {
            assert_eq!(urls(&endpoints(domain, none.path()).unwrap()), expected, "{domain}");
        }
    }

    #[test]
    fn mirrors_come_first_and_in_the_order_of_the_file() {
        let found = read(
            "r.io",
            r#"
            server = "https://real.r.io"
            client = [["c.pem", "c.key"]]
            [host."http://z:5000"]
            capabilities = ["pull"]
            [host."https://a/"]
            ca = "a.crt"
            skip_verify = true
            [host."https://push"]
            capabilities = ["push"]
            "#,
        )
        .unwrap();

        assert_eq!(urls(&found), ["http://z:5000", "https://a", "https://real.r.io"]);
        assert_eq!(found.iter().map(|it| it.resolves).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(found.iter().map(|it| it.is_mirror).collect::<Vec<_>>(), [true, true, false]);
        assert!(found[1].tls.skip_verify && found[1].tls.roots[0].ends_with("r.io/a.crt"));
        let (certificate, key) = found[2].tls.client.clone().unwrap();
        assert!(certificate.ends_with("r.io/c.pem") && key.ends_with("r.io/c.key"));
    }

    #[test]
    fn what_is_not_followed_is_refused_by_name() {
        for (text, named) in [
            ("servr = \"https://x\"", "servr"),
            ("[host.\"https://x\"]\noverride_path = true", "override_path"),
            ("[host.\"https://x\"]\ncapabilities = [\"fly\"]", "fly"),
            ("[host.\"https://x/v2\"]", "only scheme"),
            ("[host.\"https://u:p@x\"]", "only scheme"),
            ("server = \"ftp://x\"", "not an http"),
            ("server = 1", "invalid type"),
        ] {
            let refused = read("r.io", text).unwrap_err().to_string();
            assert!(refused.contains(named) && refused.contains("hosts.toml"), "{refused}");
        }
    }
}
