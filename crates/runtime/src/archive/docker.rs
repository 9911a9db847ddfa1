//! The archive `docker save` wrote for years: `manifest.json`, configurations and layers by path.
//!
//! It has no manifest in our sense, so one is made, always the same for the same content.

use serde::Deserialize;

use super::documents::{Descriptor, ImageDocument, Manifest, is_hex};
use super::spool::{Member, Spool, document, parse};
use super::{BadArchive, Blob, Bundle, IMAGES, check_config, digest, names, within};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

pub(super) fn bundles(spool: &Spool, given: Option<&str>) -> Result<Vec<Bundle>, BadArchive> {
    let member = spool.member("manifest.json")?;
    let entries: Vec<Entry> = parse("manifest.json", &spool.bytes("manifest.json", member)?)?;
    within(entries.len(), IMAGES, "images")?;
    let unnamed = |entry: &&Entry| entry.repo_tags.as_ref().is_none_or(Vec::is_empty);
    if entries.iter().filter(unnamed).count() > 1 {
        return Err(BadArchive::Unnamed);
    }
    if entries.is_empty() {
        return Err(BadArchive::Missing("an image in manifest.json".into()));
    }
    entries.into_iter().map(|entry| bundle(spool, entry, given)).collect()
}

fn bundle(spool: &Spool, entry: Entry, given: Option<&str>) -> Result<Bundle, BadArchive> {
    let names = names(&entry.repo_tags.unwrap_or_default(), given)?;
    let config = spool.member(&entry.config)?;
    check_name(&entry.config, config)?;
    let described: ImageDocument = parse(&entry.config, &spool.bytes(&entry.config, config)?)?;
    let paths = entry.layers.unwrap_or_default();
    check_config(&described, paths.len())?;
    let config = blob(config, CONFIG);
    let layer = |path: &String| {
        let member = spool.member(path)?;
        Ok(blob(member, member.compression.media_type()))
    };
    let layers: Vec<Blob> = paths.iter().map(layer).collect::<Result<_, BadArchive>>()?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.into(),
        config: descriptor(&config),
        layers: layers.iter().map(descriptor).collect(),
    };
    let manifest = serde_json::to_vec(&manifest).map_err(|why| document("manifest.json", &why))?;
    Ok(Bundle {
        names,
        manifest_type: MANIFEST.into(),
        manifest_digest: digest(&manifest),
        manifest,
        config,
        layers,
        diff_ids: described.rootfs.diff_ids,
    })
}

/// A configuration is named by its digest; one that is not what its name says was tampered with.
fn check_name(path: &str, member: &Member) -> Result<(), BadArchive> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let hex = file.strip_suffix(".json").unwrap_or(file);
    let announced = format!("sha256:{hex}");
    if is_hex(hex) && announced != member.digest {
        let (what, found) = (path.to_owned(), member.digest.clone());
        return Err(BadArchive::Mismatch { what, found, announced });
    }
    Ok(())
}

fn blob(member: &Member, media_type: &str) -> Blob {
    Blob {
        media_type: media_type.into(),
        digest: member.digest.clone(),
        size: member.size,
        file: member.file.clone(),
    }
}

fn descriptor(blob: &Blob) -> Descriptor {
    Descriptor {
        media_type: blob.media_type.clone(),
        digest: blob.digest.clone(),
        size: blob.size,
        annotations: std::collections::BTreeMap::new(),
        platform: None,
    }
}
