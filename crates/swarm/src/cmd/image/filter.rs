//! Which images a list shows.

use std::collections::BTreeMap;

use swarm_client::Image;
use swarm_types::image::ImageRef;

use super::ls::repository;
use crate::view::filter::Filters;

/// Keys of the filters.
pub(super) const KEYS: [&str; 5] = ["before", "dangling", "label", "reference", "since"];

/// Keeps what the filters and the name ask for.
pub(super) fn kept(
    images: &[Image],
    filters: &Filters,
    name: Option<&str>,
) -> anyhow::Result<Vec<Image>> {
    // Every image has a name.
    let dangling = filters.flag("dangling")?.unwrap_or(false);
    let before = filters.values("before").map(|it| made(images, it)).collect::<Result<Vec<_>, _>>();
    let since = filters.values("since").map(|it| made(images, it)).collect::<Result<Vec<_>, _>>();
    let (before, since) = (before?, since?);
    let keeps = |image: &&Image| {
        let made = image.created_at_ns.unwrap_or(0);
        !dangling
            && before.iter().all(|limit| made < *limit)
            && since.iter().all(|limit| made > *limit)
            && filters.labels("label", &image.labels)
            && filters.any("reference", |pattern| matches(&image.name, pattern))
            && name.is_none_or(|name| matches(&image.name, name))
    };
    Ok(images.iter().filter(keeps).cloned().collect())
}

/// Whether the labels are those asked for, and none of those refused.
pub(super) fn labelled(filters: &Filters, labels: &BTreeMap<String, String>) -> bool {
    filters.labels("label", labels) && filters.without("label!", labels)
}

/// When the image of that name was made.
fn made(images: &[Image], name: &str) -> anyhow::Result<i64> {
    Ok(named(images, name)?.created_at_ns.unwrap_or(0))
}

/// The image of that name, or of the id that begins so. A name is tried first: digits may be one
/// too.
pub(super) fn named<'a>(images: &'a [Image], name: &str) -> anyhow::Result<&'a Image> {
    let full = name.parse::<ImageRef>().map(|it| it.canonical()).unwrap_or_default();
    if let Some(found) = images.iter().find(|image| image.name == full) {
        return Ok(found);
    }
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    let begins = |image: &&Image| {
        let digest = image.digest.strip_prefix("sha256:");
        !digits.is_empty() && digest.is_some_and(|it| it.starts_with(digits))
    };
    let mut found = images.iter().filter(begins);
    let first = found.next().ok_or_else(|| anyhow::anyhow!("no such image: {name}"))?;
    let other = found.find(|image| image.digest != first.digest);
    anyhow::ensure!(other.is_none(), "image {name} is ambiguous: several ids start with it");
    Ok(first)
}

/// Whether a pattern such as `web`, `web:1`, `me/*` or `*:latest` means this image.
fn matches(name: &str, pattern: &str) -> bool {
    let (repository, tag) = repository(name);
    let tagged = format!("{repository}:{tag}");
    // Both the short and the full form, as Docker takes them.
    let full = name.split_once('@').map_or(name, |(name, _)| name);
    let bare = full.strip_suffix(&format!(":{tag}")).unwrap_or(full);
    [repository.as_str(), &tagged, full, bare, name].iter().any(|text| glob(text, pattern))
}

/// `*` stands for any letters but `/`, `?` for one of them.
fn glob(text: &str, pattern: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let ends = text.char_indices().map(|(at, letter)| (at, letter == '/'));
            let stop = ends.clone().find(|(_, slash)| *slash).map_or(text.len(), |(at, _)| at);
            let starts = ends.map(|(at, _)| at).chain([text.len()]).take_while(|at| *at <= stop);
            starts.into_iter().any(|at| glob(&text[at..], rest.as_str()))
        }
        Some(wanted) => {
            let mut letters = text.chars();
            letters.next().is_some_and(|letter| {
                (letter == wanted || wanted == '?' && letter != '/')
                    && glob(letters.as_str(), rest.as_str())
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_of_a_limit_is_found_by_name_before_id() {
        let image = |name: &str, digit: &str, at| Image {
            name: name.to_owned(),
            digest: format!("sha256:{}", digit.repeat(64)),
            size_bytes: 0,
            created_at_ns: Some(at),
            repo_digests: Vec::new(),
            labels: BTreeMap::new(),
            containers: 0,
        };
        let images = [
            image("docker.io/library/web:1", "a", 1),
            image("docker.io/library/aaa:latest", "b", 2),
        ];

        assert_eq!(made(&images, "aaa").unwrap(), 2);
        assert_eq!(made(&images, "aaaa").unwrap(), 1);
        assert_eq!(made(&images, "sha256:b").unwrap(), 2);
        let alike = [image("x", "a", 1), image("y", "a", 1), image("z", "ab", 1)];
        assert!(named(&alike, "aa").is_ok());
        assert!(named(&alike, "a").unwrap_err().to_string().contains("ambiguous"));
        for none in ["", "sha256:", "nope"] {
            assert!(made(&images, none).is_err(), "{none}");
        }
    }

    #[test]
    fn patterns_are_dockers() {
        for (name, pattern, is) in [
            ("docker.io/library/web:1", "web", true),
            ("docker.io/library/web:1", "web:1", true),
            ("docker.io/library/web:1", "web:2", false),
            ("docker.io/library/web:1", "docker.io/library/web", true),
            ("docker.io/library/web:1", "w*:1", true),
            ("docker.io/library/web:1", "w?b", true),
            ("docker.io/me/web:1", "web", false),
            ("docker.io/me/web:1", "me/*", true),
            ("docker.io/me/web:1", "*", false),
            ("r.io:5000/a/web:1", "r.io:5000/*/web:1", true),
            ("docker.io/library/website:1", "web", false),
        ] {
            assert_eq!(matches(name, pattern), is, "{name} {pattern}");
        }
    }
}
