//! From a reference to the manifest for this machine, and its configuration.

use serde::Deserialize;
use swarm_types::image::ImageRef;

use crate::RegistryError;
use crate::archive::{
    CONFIGS, Descriptor, INDEXES, ImageDocument, Index, MANIFESTS, Manifest, here, hex, rank,
};
use crate::registry::{Document, Remote};

/// Indexes within indexes.
const DEPTH: usize = 3;

/// Everything about an image but its layers.
#[derive(Debug)]
pub(super) struct Found {
    /// Digest of what the reference means, which may be an index.
    pub(super) origin: String,
    pub(super) document: Document,
    pub(super) manifest: Manifest,
    pub(super) config: ImageDocument,
    pub(super) config_bytes: Vec<u8>,
}

pub(super) async fn resolve(remote: &Remote, image: &ImageRef) -> Result<Found, RegistryError> {
    let which = image.digest().or(image.tag()).unwrap_or("latest");
    if let Some(digest) = image.digest() {
        checked(digest)?;
    }
    let mut document = sorted(remote.manifest(which).await?)?;
    let origin = document.digest.clone();
    for _ in 0..DEPTH {
        if MANIFESTS.contains(&document.media_type.as_str()) {
            return manifest(remote, origin, document).await;
        }
        let next = pick(&document)?;
        let found = remote.manifest(checked(&next.digest)?).await?;
        if found.bytes.len() as u64 != next.size {
            return Err(RegistryError::Mismatch {
                what: format!("manifest {}", next.digest),
                found: format!("{} bytes", found.bytes.len()),
                announced: format!("{} bytes", next.size),
            });
        }
        document = sorted(found)?;
    }
    Err(bad(&origin, &"too many indexes within indexes"))
}

async fn manifest(
    remote: &Remote,
    origin: String,
    document: Document,
) -> Result<Found, RegistryError> {
    let what = &document.digest;
    let manifest: Manifest =
        serde_json::from_slice(&document.bytes).map_err(|why| bad(what, &why))?;
    let config = &manifest.config;
    if !CONFIGS.contains(&config.media_type.as_str()) {
        return Err(bad(what, &format!("{:?} is no container image", config.media_type)));
    }
    for part in manifest.layers.iter().chain([config]) {
        checked(&part.digest)?;
    }
    let config_bytes = remote.small(&config.digest, config.size).await?;
    let config: ImageDocument =
        serde_json::from_slice(&config_bytes).map_err(|why| bad(&config.digest, &why))?;
    Ok(Found { origin, document, manifest, config, config_bytes })
}

/// The members that tell one kind of document from another.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
}

/// Settles what kind of document it is. One that can be read in two ways is refused: the same
/// digest would mean different images to different readers.
fn sorted(mut document: Document) -> Result<Document, RegistryError> {
    let what = document.digest.clone();
    let shape: Shape = serde_json::from_slice(&document.bytes).map_err(|why| bad(&what, &why))?;
    if shape.schema_version == 1 {
        return Err(RegistryError::Schema1(what));
    }
    if !shape.media_type.is_empty() {
        let announced = &document.media_type;
        let known = [&INDEXES, &MANIFESTS].iter().any(|kinds| kinds.contains(&announced.as_str()));
        if known && *announced != shape.media_type {
            return Err(bad(&what, &format!("is {:?}, sent as {announced:?}", shape.media_type)));
        }
        document.media_type = shape.media_type;
    }
    match (shape.manifests, shape.layers) {
        (Some(_), None) if INDEXES.contains(&document.media_type.as_str()) => Ok(document),
        (None, Some(_)) if MANIFESTS.contains(&document.media_type.as_str()) => Ok(document),
        _ => Err(bad(&what, &format!("{:?} is no container image", document.media_type))),
    }
}

/// The entry that fits this machine best; of equals the first.
fn pick(document: &Document) -> Result<Descriptor, RegistryError> {
    let what = &document.digest;
    let index: Index = serde_json::from_slice(&document.bytes).map_err(|why| bad(what, &why))?;
    let fitting = index.manifests.into_iter().filter_map(|entry| {
        let rank = rank(entry.platform.as_ref())?;
        Some((rank, entry))
    });
    let best = fitting.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry);
    best.ok_or_else(|| bad(what, &format!("has no image for {}", here())))
}

fn checked(digest: &str) -> Result<&str, RegistryError> {
    hex(digest).map(|_| digest).map_err(|why| bad(digest, &why))
}

fn bad(what: &str, why: &dyn std::fmt::Display) -> RegistryError {
    RegistryError::Document { what: what.into(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
    const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

    fn document(media_type: &str, body: &Value) -> Document {
        let bytes = serde_json::to_vec(body).unwrap();
        Document { media_type: media_type.into(), digest: "sha256:x".into(), bytes }
    }

    #[test]
    fn a_document_that_means_two_things_is_refused() {
        let layers = json!({ "schemaVersion": 2, "layers": [] });
        assert!(sorted(document(OCI, &layers)).is_ok());
        for (media_type, body) in [
            (OCI, json!({ "schemaVersion": 2, "layers": [], "manifests": [] })),
            (OCI, json!({ "schemaVersion": 2, "layers": [], "mediaType": LIST })),
            (LIST, layers.clone()),
            ("text/plain", layers),
            (OCI, json!({ "layers": [] })),
        ] {
            let refused = sorted(document(media_type, &body));
            assert!(matches!(refused, Err(RegistryError::Document { .. })), "{body}");
        }
        let old = json!({ "schemaVersion": 1, "fsLayers": [] });
        let refused =
            sorted(document("application/vnd.docker.distribution.manifest.v1+json", &old));
        assert!(matches!(refused, Err(RegistryError::Schema1(_))));
    }

    #[test]
    fn the_entry_that_fits_best_is_picked() {
        let entry = |digest: &str, platform: Value| json!({ "mediaType": OCI, "digest": digest, "size": 1, "platform": platform });
        let arch = here();
        let arch = arch.split('/').nth(1).unwrap();
        let index = json!({ "schemaVersion": 2, "manifests": [
            entry("unknown", json!({ "os": "unknown", "architecture": "unknown" })),
            entry("windows", json!({ "os": "windows", "architecture": arch })),
            entry("newer", json!({ "os": "linux", "architecture": arch, "variant": "v99" })),
            entry("any", Value::Null),
            entry("plain", json!({ "os": "linux", "architecture": arch })),
        ] });
        assert_eq!(pick(&document(LIST, &index)).unwrap().digest, "plain");

        let foreign = json!({ "schemaVersion": 2, "manifests": [
            entry("other", json!({ "os": "linux", "architecture": "vax" })),
        ] });
        let refused = pick(&document(LIST, &foreign)).unwrap_err().to_string();
        assert!(refused.contains(&here()), "{refused}");
    }
}
