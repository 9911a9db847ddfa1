//! The OCI image layout: `index.json` and blobs by digest.
//!
//! Top-level entries of one name are one image, for one or several platforms; of those, and of
//! nested indexes, the one for this machine is taken. Blobs for other platforms may be absent.

use std::collections::BTreeMap;

use super::documents::{
    CONFIGS, Compression, Descriptor, IMAGES, INDEXES, ImageDocument, Index, Manifest, rank,
};
use super::spool::{Spool, parse};
use super::{BadArchive, Blob, Bundle, check_config, documents, names, within};

/// Names of an image, best first.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];
/// Indexes within indexes.
const DEPTH: usize = 4;
/// Entries of all indexes together, each as often as it is reached.
const ENTRIES: usize = 4096;
/// Bytes of a manifest; it stays in memory until the image is stored.
const MANIFEST: usize = 256 << 10;

pub(super) fn bundles(spool: &Spool, given: Option<&str>) -> Result<Vec<Bundle>, BadArchive> {
    let index: Index = parse("index.json", &spool.bytes("", spool.member("index.json")?)?)?;
    let mut images: BTreeMap<Option<String>, Vec<Descriptor>> = BTreeMap::new();
    for descriptor in index.manifests {
        let name = NAMES.iter().find_map(|key| descriptor.annotations.get(*key)).cloned();
        images.entry(name).or_default().push(descriptor);
    }
    if images.is_empty() {
        return Err(BadArchive::Missing("a manifest in index.json".into()));
    }
    within(images.len(), super::IMAGES, "images")?;
    let mut bundles = Vec::new();
    let mut entries = 0;
    for (name, descriptors) in images {
        let own: Vec<String> = name.into_iter().collect();
        let names = names(&own, given)?;
        let mut found = Vec::new();
        collect(spool, &descriptors, DEPTH, &mut entries, &mut found)?;
        if own.is_empty() && found.len() > 1 && descriptors.len() > 1 {
            return Err(BadArchive::Unnamed);
        }
        bundles.push(bundle(spool, names, pick(found)?)?);
    }
    Ok(bundles)
}

/// Gathers the image manifests for this machine, through nested indexes.
fn collect(
    spool: &Spool,
    descriptors: &[Descriptor],
    depth: usize,
    entries: &mut usize,
    found: &mut Vec<Descriptor>,
) -> Result<(), BadArchive> {
    *entries += descriptors.len();
    within(*entries, ENTRIES, "entries in indexes")?;
    for descriptor in descriptors {
        let kind = descriptor.media_type.as_str();
        if rank(descriptor.platform.as_ref()).is_none() {
            continue;
        } else if IMAGES.contains(&kind) {
            found.push(descriptor.clone());
        } else if !INDEXES.contains(&kind) {
            return Err(BadArchive::MediaType(kind.into()));
        } else if depth == 0 {
            return Err(BadArchive::TooLarge { what: "nested indexes", limit: DEPTH as u64 });
        } else {
            let member = spool.blob(&descriptor.digest, descriptor.size)?;
            let index: Index =
                parse(&descriptor.digest, &spool.bytes(&descriptor.digest, member)?)?;
            collect(spool, &index.manifests, depth - 1, entries, found)?;
        }
    }
    Ok(())
}

/// The manifest that fits this machine best.
fn pick(found: Vec<Descriptor>) -> Result<Descriptor, BadArchive> {
    let picked = found.into_iter().min_by_key(|descriptor| rank(descriptor.platform.as_ref()));
    picked.ok_or_else(|| BadArchive::Platform(documents::here()))
}

fn bundle(spool: &Spool, names: Vec<String>, descriptor: Descriptor) -> Result<Bundle, BadArchive> {
    let digest = descriptor.digest;
    let bytes = spool.bytes(&digest, spool.blob(&digest, descriptor.size)?)?;
    within(bytes.len(), MANIFEST, "bytes in a manifest")?;
    let manifest: Manifest = parse(&digest, &bytes)?;
    if manifest.schema_version != 2 || !CONFIGS.contains(&manifest.config.media_type.as_str()) {
        return Err(BadArchive::MediaType(manifest.config.media_type));
    }
    let config = blob(spool, &manifest.config)?;
    let member = spool.blob(&config.digest, config.size)?;
    let described: ImageDocument = parse(&config.digest, &spool.bytes(&config.digest, member)?)?;
    check_config(&described, manifest.layers.len())?;
    let layers = manifest.layers.iter().map(|layer| self::layer(spool, layer));
    Ok(Bundle {
        names,
        manifest_type: descriptor.media_type,
        manifest: bytes,
        manifest_digest: digest,
        config,
        layers: layers.collect::<Result<_, _>>()?,
        diff_ids: described.rootfs.diff_ids,
    })
}

fn blob(spool: &Spool, descriptor: &Descriptor) -> Result<Blob, BadArchive> {
    let member = spool.blob(&descriptor.digest, descriptor.size)?;
    Ok(Blob {
        media_type: descriptor.media_type.clone(),
        digest: member.digest.clone(),
        size: member.size,
        file: member.file.clone(),
    })
}

fn layer(spool: &Spool, descriptor: &Descriptor) -> Result<Blob, BadArchive> {
    let announced = Compression::of_media_type(&descriptor.media_type)?;
    let found = spool.blob(&descriptor.digest, descriptor.size)?.compression;
    if found != announced {
        return Err(BadArchive::Mismatch {
            what: format!("layer {}", descriptor.digest),
            found: found.media_type().into(),
            announced: descriptor.media_type.clone(),
        });
    }
    blob(spool, descriptor)
}
