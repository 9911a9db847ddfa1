//! How large layers get when they are unpacked.
//!
//! containerd unpacks a layer to its end, however large that is. So gzipped layers are unpacked
//! here first, to nowhere. Those of zstd are not: what they unpack to is not bounded.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::documents::Compression;
use super::spool::document;
use super::{BadArchive, Blob, Bundle};

/// Refuses layers that unpack to more than `limit` bytes together.
pub(super) fn check_sizes(bundles: &[Bundle], limit: u64) -> Result<(), BadArchive> {
    let mut left = limit;
    let mut seen = BTreeSet::new();
    for layer in bundles.iter().flat_map(|bundle| &bundle.layers) {
        let gzipped = Compression::of_media_type(&layer.media_type)? == Compression::Gzip;
        if gzipped && seen.insert(&layer.digest) {
            let size = unpacked(layer, left).map_err(|why| document(&layer.digest, &why))?;
            let large = BadArchive::TooLarge { what: "bytes in unpacked layers", limit };
            left = left.checked_sub(size).ok_or(large)?;
        }
    }
    Ok(())
}

/// Bytes of a gzipped layer as tar, counted until there are more than `most`.
fn unpacked(layer: &Blob, most: u64) -> io::Result<u64> {
    let file = BufReader::with_capacity(64 << 10, File::open(&layer.file)?);
    io::copy(&mut MultiGzDecoder::new(file).take(most.saturating_add(1)), &mut io::sink())
}
