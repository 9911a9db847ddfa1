//! Image references as Docker reads them: `web` means `docker.io/library/web:latest`.
//!
//! The grammar is that of the distribution project, written out by hand. Specs keep the text
//! the user typed; whoever talks to a registry or a content store uses [`ImageRef::canonical`].
//! Whether the image exists is not known here.

use std::fmt;
use std::str::FromStr;

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const PATH_MAX: usize = 255;
const TAG_MAX: usize = 128;

/// A parsed image reference. `Display` is the short form users see.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ImageRef {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Why a text is not an image reference.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidImage {
    /// Nothing was given.
    #[error("an image is required")]
    Empty,
    /// 64 hexadecimal digits would be read as an image id.
    #[error("64 hexadecimal digits are an image id, not a name")]
    LooksLikeId,
    /// The registry's host or port.
    #[error("the registry is not a host name with an optional port")]
    Domain,
    /// The name has upper-case letters.
    #[error("a repository name must be lower case")]
    UpperCase,
    /// The name is otherwise wrong.
    #[error("invalid reference format: a repository name has a-z, 0-9 and single separators")]
    Path,
    /// The name is too long.
    #[error("a repository name has at most {PATH_MAX} characters")]
    TooLong,
    /// The tag is wrong.
    #[error(
        "invalid reference format: a tag has at most {TAG_MAX} characters of A-Z a-z 0-9 _ . -"
    )]
    Tag,
    /// The digest is wrong.
    #[error("invalid digest: expected sha256, sha384 or sha512 with all its lower-case digits")]
    Digest,
}

impl ImageRef {
    /// The registry, such as `docker.io`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository within the registry, such as `library/web`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag; `latest` when neither tag nor digest was given.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, such as `sha256:...`.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The full form, such as `docker.io/library/web:latest`.
    #[must_use]
    pub fn canonical(&self) -> String {
        format!("{}/{}{}", self.domain, self.path, self.suffix())
    }

    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = self.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
        tag + &digest
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.domain != DEFAULT_DOMAIN {
            return f.write_str(&self.canonical());
        }
        // `docker.io/library/a/b` is not official: cutting `library/` would change its meaning.
        let short = self.path.strip_prefix(OFFICIAL).filter(|rest| !rest.contains('/'));
        write!(f, "{}{}", short.unwrap_or(&self.path), self.suffix())
    }
}

impl FromStr for ImageRef {
    type Err = InvalidImage;

    fn from_str(text: &str) -> Result<Self, InvalidImage> {
        if text.is_empty() {
            return Err(InvalidImage::Empty);
        }
        if text.len() == 64 && text.bytes().all(is_lower_hex) {
            return Err(InvalidImage::LooksLikeId);
        }
        let (domain, rest) = split_domain(text);
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
            None => (rest, None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(parse_tag(tag)?)),
            None => (rest, None),
        };
        if !is_domain(domain) {
            return Err(InvalidImage::Domain);
        }
        let path = match domain {
            DEFAULT_DOMAIN if !path.contains('/') => format!("{OFFICIAL}{path}"),
            _ => path.to_owned(),
        };
        check_path(&path)?;
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self { domain: domain.to_owned(), path, tag, digest })
    }
}

/// The first part is a registry only when it cannot be a repository's first component.
fn split_domain(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((LEGACY_DOMAIN, rest)) => (DEFAULT_DOMAIN, rest),
        Some((first, rest)) if is_registry(first) => (first, rest),
        _ => (DEFAULT_DOMAIN, text),
    }
}

fn is_registry(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':'])
        || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, "")) => return is_v6(v6),
        Some((v6, rest)) => match rest.strip_prefix(':') {
            Some(port) => return is_v6(v6) && is_port(port),
            None => return false,
        },
        None => match domain.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (domain, None),
        },
    };
    host.split('.').all(is_host_label) && port.is_none_or(is_port)
}

fn is_v6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

fn is_port(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u16>().is_ok()
}

fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn check_path(path: &str) -> Result<(), InvalidImage> {
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(InvalidImage::UpperCase);
    }
    if path.len() > PATH_MAX {
        return Err(InvalidImage::TooLong);
    }
    if path.split('/').all(is_path_component) { Ok(()) } else { Err(InvalidImage::Path) }
}

/// Runs of `[a-z0-9]` joined by one of `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let joints = component.split(is_word).filter(|joint| !joint.is_empty());
    let joined =
        |joint: &str| matches!(joint, "." | "_" | "__") || joint.bytes().all(|b| b == b'-');
    component.starts_with(is_word) && component.ends_with(is_word) && joints.into_iter().all(joined)
}

fn parse_tag(tag: &str) -> Result<String, InvalidImage> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let good = (1..=TAG_MAX).contains(&tag.len())
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-');
    if good { Ok(tag.to_owned()) } else { Err(InvalidImage::Tag) }
}

fn parse_digest(digest: &str) -> Result<String, InvalidImage> {
    let (algorithm, hex) = digest.split_once(':').ok_or(InvalidImage::Digest)?;
    let wanted = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return Err(InvalidImage::Digest),
    };
    let good = hex.len() == wanted && hex.bytes().all(is_lower_hex);
    if good { Ok(digest.to_owned()) } else { Err(InvalidImage::Digest) }
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_mean_what_docker_reads() {
        let pinned = format!("web@{DIGEST}");
        for (typed, canonical, shown) in [
            ("web", "docker.io/library/web:latest", "web:latest"),
            ("web:1.2", "docker.io/library/web:1.2", "web:1.2"),
            ("me/web", "docker.io/me/web:latest", "me/web:latest"),
            ("index.docker.io/web", "docker.io/library/web:latest", "web:latest"),
            ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
            ("localhost/web", "localhost/web:latest", "localhost/web:latest"),
            ("Host/web", "Host/web:latest", "Host/web:latest"),
            ("r.io:5000/a/b__c--d:x", "r.io:5000/a/b__c--d:x", "r.io:5000/a/b__c--d:x"),
            ("[::1]:5000/web", "[::1]:5000/web:latest", "[::1]:5000/web:latest"),
            (&pinned, &format!("docker.io/library/{pinned}"), &pinned),
        ] {
            let image: ImageRef = typed.parse().unwrap();
            assert_eq!(
                (image.canonical().as_str(), image.to_string().as_str()),
                (canonical, shown)
            );
        }
    }

    #[test]
    fn every_refusal_bites() {
        for (typed, why) in [
            ("", InvalidImage::Empty),
            (&DIGEST[7..], InvalidImage::LooksLikeId),
            ("-r.io/web", InvalidImage::Domain),
            ("r.io:port/web", InvalidImage::Domain),
            ("[::1]5000/web", InvalidImage::Domain),
            ("Web", InvalidImage::UpperCase),
            ("me/Web", InvalidImage::UpperCase),
            ("we b", InvalidImage::Path),
            ("a//b", InvalidImage::Path),
            ("a..b", InvalidImage::Path),
            ("a___b", InvalidImage::Path),
            ("web-", InvalidImage::Path),
            (&"a".repeat(256), InvalidImage::TooLong),
            ("web:", InvalidImage::Tag),
            ("web:-x", InvalidImage::Tag),
            (&format!("web:{}", "a".repeat(129)), InvalidImage::Tag),
            ("web@sha256:12", InvalidImage::Digest),
            (&format!("web@md5:{}", &DIGEST[7..]), InvalidImage::Digest),
            (&format!("web@{}", DIGEST.to_uppercase()), InvalidImage::Digest),
        ] {
            assert_eq!(typed.parse::<ImageRef>(), Err(why), "{typed}");
        }
    }

    proptest! {
        /// Both text forms of a reference mean the same reference again.
        #[test]
        fn both_forms_parse_back(
            domain in prop::option::of("[a-z][a-z0-9]{0,5}\\.(io|com)(:[1-9][0-9]{3})?"),
            path in "[a-z0-9]{1,5}([._-][a-z0-9]{1,5})?(/[a-z0-9]{1,5}){0,2}",
            tag in prop::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}"),
            pinned: bool,
        ) {
            let mut text = domain.map(|domain| domain + "/").unwrap_or_default() + &path;
            text += &tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            if pinned { text = format!("{text}@{DIGEST}"); }
            let image: ImageRef = text.parse().unwrap();
            prop_assert_eq!(&image.canonical().parse::<ImageRef>().unwrap(), &image);
            prop_assert_eq!(&image.to_string().parse::<ImageRef>().unwrap(), &image);
        }

        /// No text makes the parser panic.
        #[test]
        fn any_text_is_answered(text: String) {
            if let Ok(image) = text.parse::<ImageRef>() {
                prop_assert_eq!(image.canonical().parse::<ImageRef>(), Ok(image));
            }
        }
    }
}
