//! Layers, configuration and manifest, and the two archives that carry them.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::tree::gzip;
use crate::{Error, Tree};

/// What the image says about its process.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Entry point, one word each.
    pub entrypoint: Vec<String>,
    /// Command, one word each.
    pub cmd: Vec<String>,
    /// Environment as `K=V`.
    pub env: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `USER[:GROUP]`; empty means root.
    pub user: String,
    /// Working directory; empty means `/`.
    pub dir: String,
    /// Signal that asks the process to stop; empty means SIGTERM.
    pub stop_signal: String,
    /// Directories that want a volume.
    pub volumes: Vec<String>,
    /// Ports as `PORT/PROTOCOL`.
    pub exposed: Vec<String>,
    /// How to tell whether it is well: `CMD` and words, or `CMD-SHELL` and a line. Checked every
    /// second, unhealthy after three failures.
    pub healthcheck: Vec<String>,
}

/// The kinds of archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// What `docker save` wrote for years: manifest.json, configuration, layers.
    DockerArchive,
    /// An OCI image layout in a tar.
    Oci,
}

/// How layers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Layers {
    /// As tar.
    Plain,
    /// As gzip of tar.
    Gzip,
}

/// A built image: every blob in memory.
#[derive(Clone, Debug)]
pub struct Image {
    name: String,
    layers: Vec<Vec<u8>>,
    config: Vec<u8>,
    manifest: Vec<u8>,
}

/// The GOARCH name of this machine.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `docker.io/library/` is what Docker's own names mean.
fn full_name(name: &str) -> String {
    let first = name.split('/').next().unwrap_or_default();
    let named = name.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    match (named, name.contains('/')) {
        (true, _) => name.into(),
        (false, true) => format!("docker.io/{name}"),
        (false, false) => format!("docker.io/library/{name}"),
    }
}

impl Image {
    /// Encodes the layers, bottom first, and describes them. `name` is `NAME:TAG`.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] or [`Error::Io`] when a blob cannot be encoded.
    pub fn build(
        name: &str,
        config: &Config,
        trees: Vec<Tree>,
        stored: Layers,
    ) -> Result<Self, Error> {
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        for tree in trees {
            let tar = tree.to_tar()?;
            diff_ids.push(format!("sha256:{}", digest(&tar)));
            layers.push(match stored {
                Layers::Plain => tar,
                Layers::Gzip => gzip(&tar)?,
            });
        }
        let config = config_json(config, &diff_ids)?;
        let layer_type = match stored {
            Layers::Plain => "application/vnd.oci.image.layer.v1.tar",
            Layers::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        };
        let descriptors: Vec<Value> =
            layers.iter().map(|layer| descriptor(layer_type, layer)).collect();
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": descriptors,
        }))?;
        Ok(Self { name: name.into(), layers, config, manifest })
    }

    /// Writes the archive.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when `out` fails.
    pub fn write(&self, format: Format, out: impl Write) -> Result<(), Error> {
        let mut tar = tar::Builder::new(out);
        for (path, bytes) in self.members(format)? {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(bytes.len() as u64);
            let appended = tar.append_data(&mut header, &path, bytes.as_slice());
            appended.map_err(Error::io("write", &path))?;
        }
        tar.into_inner().and_then(|mut out| out.flush()).map_err(Error::io("write", &self.name))
    }

    /// Path and content of every member of the archive, in the order they are written.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] when the index cannot be encoded.
    pub fn members(&self, format: Format) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        match format {
            Format::DockerArchive => self.docker_members(),
            Format::Oci => self.oci_members(),
        }
    }

    /// The manifest, and every blob it names.
    pub(crate) fn parts(&self) -> (&[u8], impl Iterator<Item = &[u8]>) {
        let blobs = self.layers.iter().chain([&self.config]).map(Vec::as_slice);
        (&self.manifest, blobs)
    }

    /// Digest of the manifest, `sha256:...`.
    #[must_use]
    pub fn digest(&self) -> String {
        format!("sha256:{}", digest(&self.manifest))
    }

    fn docker_members(&self) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let mut members = BTreeMap::new();
        let mut layers = Vec::new();
        for layer in &self.layers {
            let path = format!("{}/layer.tar", digest(layer));
            members.insert(path.clone(), layer.clone());
            layers.push(path);
        }
        let config = format!("{}.json", digest(&self.config));
        let manifest = json!([{ "Config": config, "RepoTags": [self.name], "Layers": layers }]);
        members.insert(config, self.config.clone());
        members.insert("manifest.json".into(), serde_json::to_vec(&manifest)?);
        Ok(members)
    }

    fn oci_members(&self) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let blobs = self.layers.iter().chain([&self.config, &self.manifest]);
        let mut members: BTreeMap<String, Vec<u8>> =
            blobs.map(|blob| (format!("blobs/sha256/{}", digest(blob)), blob.clone())).collect();
        let mut image = descriptor("application/vnd.oci.image.manifest.v1+json", &self.manifest);
        image["annotations"] = json!({
            "io.containerd.image.name": full_name(&self.name),
            "org.opencontainers.image.ref.name": self.name,
        });
        image["platform"] = json!({ "architecture": architecture(), "os": "linux" });
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [image],
        });
        members.insert("index.json".into(), serde_json::to_vec(&index)?);
        members.insert("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
        Ok(members)
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({
        "mediaType": media_type,
        "digest": format!("sha256:{}", digest(bytes)),
        "size": bytes.len(),
    })
}

fn config_json(config: &Config, diff_ids: &[String]) -> Result<Vec<u8>, Error> {
    let mut process = json!({});
    let lists = [("Entrypoint", &config.entrypoint), ("Cmd", &config.cmd), ("Env", &config.env)];
    for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        process[key] = json!(list);
    }
    let texts =
        [("User", &config.user), ("WorkingDir", &config.dir), ("StopSignal", &config.stop_signal)];
    for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        process[key] = json!(text);
    }
    let sets = [("Volumes", &config.volumes), ("ExposedPorts", &config.exposed)];
    for (key, names) in sets.into_iter().filter(|(_, names)| !names.is_empty()) {
        process[key] = names.iter().map(|name| (name.clone(), json!({}))).collect();
    }
    if !config.healthcheck.is_empty() {
        let second = 1_000_000_000_u64;
        process["Healthcheck"] = json!({
            "Test": config.healthcheck, "Interval": second, "Timeout": 5 * second, "Retries": 3,
        });
    }
    if !config.labels.is_empty() {
        process["Labels"] = json!(config.labels);
    }
    Ok(serde_json::to_vec(&json!({
        "architecture": architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": process,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    }))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        let mut tree = Tree::skeleton();
        tree.add_file("/srv/www/index.html", 0o644, b"hello".to_vec());
        let config = Config { cmd: vec!["sh".into()], ..Config::default() };
        Image::build("web:1", &config, vec![tree], Layers::Gzip).unwrap()
    }

    #[test]
    fn the_same_input_gives_the_same_archive() {
        for format in [Format::DockerArchive, Format::Oci] {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            image().write(format, &mut first).unwrap();
            image().write(format, &mut second).unwrap();
            assert_eq!(first, second);
        }
    }

    #[test]
    fn every_blob_of_a_layout_has_its_digest_as_name() {
        let members = image().members(Format::Oci).unwrap();
        let blobs: Vec<_> = members
            .iter()
            .filter_map(|(path, blob)| Some((path.strip_prefix("blobs/sha256/")?, blob)))
            .collect();
        assert_eq!(blobs.len(), 3);
        for (name, blob) in blobs {
            assert_eq!(name, digest(blob));
        }
    }

    #[test]
    fn a_configuration_is_written_as_docker_does() {
        let config = Config {
            volumes: vec!["/data".into()],
            exposed: vec!["80/tcp".into()],
            healthcheck: vec!["CMD".into(), "check".into()],
            ..Config::default()
        };

        let written: Value = serde_json::from_slice(&config_json(&config, &[]).unwrap()).unwrap();

        assert_eq!(written["config"]["Volumes"], json!({ "/data": {} }));
        assert_eq!(written["config"]["ExposedPorts"], json!({ "80/tcp": {} }));
        assert_eq!(written["config"]["Healthcheck"]["Test"], json!(["CMD", "check"]));
        assert_eq!(written["config"]["Healthcheck"]["Interval"], json!(1_000_000_000));
    }

    #[test]
    fn names_are_completed_as_docker_does() {
        assert_eq!(full_name("web:1"), "docker.io/library/web:1");
        assert_eq!(full_name("me/web:1"), "docker.io/me/web:1");
        assert_eq!(full_name("localhost:5000/web:1"), "localhost:5000/web:1");
    }

    #[test]
    fn parents_come_before_their_children() {
        let mut tree = Tree::default();
        tree.add_file("a/b/c", 0o600, vec![1]);
        let tar = tree.to_tar().unwrap();
        let mut archive = tar::Archive::new(tar.as_slice());
        let paths: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(paths, ["a/", "a/b/", "a/b/c"]);
    }
}
