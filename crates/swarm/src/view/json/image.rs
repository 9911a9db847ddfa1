//! An image as `GET /images/{name}/json` shows it, as far as the node's store tells of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use swarm_client::Image;
use swarm_types::Timestamp;

use super::{Fields, time};
use crate::view::short_name;

/// The image, with all names that `images`, those of its node, know it by.
pub(crate) fn image(image: &Image, images: &[Image]) -> Value {
    let same = || images.iter().filter(|other| other.digest == image.digest);
    let tags: BTreeSet<String> =
        same().filter(|it| !it.name.contains('@')).map(|it| short_name(&it.name)).collect();
    let digests: BTreeSet<String> =
        same().flat_map(|it| &it.repo_digests).map(|name| familiar(name)).collect();
    let created = image.created_at_ns.map_or(Value::from(""), |at| time(Timestamp(at)));
    let config = Fields::default()
        .with("Labels", if image.labels.is_empty() { Value::Null } else { json!(image.labels) })
        .without(&["Cmd", "Entrypoint", "Env", "ExposedPorts", "User", "Volumes", "WorkingDir"]);
    Fields::default()
        .with("Id", image.digest.as_str())
        .with("RepoTags", json!(tags))
        .with("RepoDigests", json!(digests))
        .with("Created", created)
        .with("Size", image.size_bytes)
        .with("Config", config)
        .without(&["Architecture", "Os", "RootFS", "GraphDriver", "Metadata", "Parent", "Comment"])
        .into()
}

/// `REPOSITORY@DIGEST` without the default registry.
fn familiar(name: &str) -> String {
    let Some((repository, digest)) = name.split_once('@') else { return name.to_owned() };
    let short = short_name(repository);
    format!("{}@{digest}", short.strip_suffix(":latest").unwrap_or(&short))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_all_its_names() {
        let of = |name: &str, digit: &str| Image {
            name: name.to_owned(),
            digest: format!("sha256:{}", digit.repeat(64)),
            size_bytes: 7,
            created_at_ns: Some(1_000_000_000),
            repo_digests: vec![format!("docker.io/library/web@sha256:{}", digit.repeat(64))],
            labels: std::iter::once(("a".to_owned(), "b".to_owned())).collect(),
            containers: 0,
        };
        let pinned = format!("docker.io/library/web@sha256:{}", "a".repeat(64));
        let images = [
            of("docker.io/library/web:1", "a"),
            of("r.io:5000/web:2", "a"),
            of(&pinned, "a"),
            of("docker.io/library/other:1", "b"),
        ];

        let shown = swarm_template::shown(&image(&images[0], &images));

        assert_eq!(shown["Id"], images[0].digest.as_str());
        assert_eq!(shown["RepoTags"], json!(["r.io:5000/web:2", "web:1"]));
        assert_eq!(shown["RepoDigests"], json!([format!("web@{}", images[0].digest)]));
        assert_eq!(shown["Created"], "1970-01-01T00:00:01Z");
        assert_eq!(shown["Config"], json!({ "Labels": { "a": "b" } }));
    }
}
