//! Image names as Docker reads them.

use oci_spec::distribution::Reference;

use crate::Error;

/// The full form of an image name: `web` becomes `docker.io/library/web:latest`.
///
/// # Errors
///
/// [`Error::BadReference`] when it is not a name.
pub fn full_name(reference: &str) -> Result<String, Error> {
    let parsed: Result<Reference, _> = reference.parse();
    let bad = |why| Error::BadReference { reference: reference.into(), why };
    parsed.map(|parsed| parsed.whole()).map_err(|why| bad(why.to_string()))
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
        for bad in ["", "UPPER", "a b", "web:", "../x", ":1"] {
            assert!(full_name(bad).is_err(), "{bad:?}");
        }
    }
}
