//! Image names as Docker reads them.

use swarm_types::image::ImageRef;

use crate::Error;

/// The full form of an image name: `web` becomes `docker.io/library/web:latest`. Beside a digest
/// a tag says nothing, so it is left out.
///
/// # Errors
///
/// [`Error::BadReference`] when it is not a name.
pub fn full_name(reference: &str) -> Result<String, Error> {
    parse(reference).map(|image| name(&image))
}

pub(crate) fn parse(reference: &str) -> Result<ImageRef, Error> {
    let bad = |why: swarm_types::image::InvalidImage| Error::BadReference {
        reference: reference.into(),
        why: why.to_string(),
    };
    reference.parse().map_err(bad)
}

pub(crate) fn name(image: &ImageRef) -> String {
    match image.digest() {
        Some(digest) => format!("{}/{}@{digest}", image.domain(), image.path()),
        None => image.canonical(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_docker_does() {
        for (short, full) in [
            ("web", "docker.io/library/web:latest"),
            ("web:1", "docker.io/library/web:1"),
            ("me/web", "docker.io/me/web:latest"),
            ("localhost:5000/web:2", "localhost:5000/web:2"),
            ("docker.io/library/web:1", "docker.io/library/web:1"),
        ] {
            assert_eq!(full_name(short).unwrap(), full);
        }
        let digest = format!("sha256:{}", "a".repeat(64));
        let pinned = full_name(&format!("web:1@{digest}")).unwrap();
        assert_eq!(pinned, format!("docker.io/library/web@{digest}"));
        for bad in ["", "UPPER", "a b", "web:", "../x", ":1"] {
            assert!(full_name(bad).is_err(), "{bad:?}");
        }
    }
}
