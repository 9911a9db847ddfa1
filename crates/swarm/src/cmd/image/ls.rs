//! `swarm image ls [REPOSITORY[:TAG]]`

use std::time::Duration;

use swarm_client::{Client, Image};
use swarm_types::Timestamp;
use swarm_types::image::ImageRef;
use swarm_types::text::{decimal_size, human_duration, natural_cmp, short_id};

use super::filter;
use crate::output::{List, ListKind, Printer, Row};
use crate::view::filter::FilterArgs;

const NONE: &str = "<none>";
const RAW: &[(&str, &str)] = &[
    ("repository", "{{.Repository}}"),
    ("tag", "{{.Tag}}"),
    ("image_id", "{{.ID}}"),
    ("created_at", "{{.CreatedAt}}"),
    ("virtual_size", "{{.Size}}"),
];
const HEADERS: &[(&str, &str)] = &[
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("VirtualSize", "SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("Containers", "CONTAINERS"),
    ("Labels", "LABELS"),
];

static KIND: ListKind = ListKind {
    table: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    headers: HEADERS,
    raw: RAW,
    quiet: "{{.ID}}",
    config_key: "imagesFormat",
};

static WITH_DIGESTS: ListKind = ListKind {
    table: "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    headers: HEADERS,
    raw: RAW,
    quiet: "{{.ID}}",
    config_key: "imagesFormat",
};

#[derive(clap::Args, Debug)]
pub(crate) struct Ls {
    /// Show the digests that registries know the images by
    #[arg(long)]
    digests: bool,
    /// Show ids in full
    #[arg(long)]
    no_trunc: bool,
    #[command(flatten)]
    filter: FilterArgs,
    /// Show only images of this name; `*` and `?` stand for letters
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

pub(crate) async fn run(args: Ls, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let filters = args.filter.of(&filter::KEYS)?;
    let images = client.images().await?;
    let images = filter::kept(&images, &filters, args.name.as_deref())?;
    let kind = if args.digests { &WITH_DIGESTS } else { &KIND };
    let ids = if args.no_trunc { Ids::Whole } else { Ids::Short };
    out.list(&list(kind, images, ids, Timestamp::now()))
}

/// How ids look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ids {
    Short,
    Whole,
}

/// The youngest first, as Docker shows them.
fn list(kind: &'static ListKind, mut images: Vec<Image>, ids: Ids, now: Timestamp) -> List {
    images.sort_by(|a, b| {
        b.created_at_ns.cmp(&a.created_at_ns).then_with(|| natural_cmp(&a.name, &b.name))
    });
    List::new(kind, images.into_iter().map(|image| row(image, ids, now)).collect())
}

fn row(image: Image, ids: Ids, now: Timestamp) -> Row {
    let (repository, tag) = repository(&image.name);
    let known = image.repo_digests.first().and_then(|name| name.split_once('@'));
    let id = match ids {
        Ids::Short => short_id(&image.digest).to_owned(),
        Ids::Whole => image.digest,
    };
    let size = decimal_size(image.size_bytes);
    let row = Row::new([
        ("Repository", repository),
        ("Tag", tag),
        ("Digest", known.map_or(NONE, |(_, digest)| digest).to_owned()),
        ("ID", id),
        ("CreatedSince", image.created_at_ns.map_or_else(|| "N/A".to_owned(), |at| since(at, now))),
        ("CreatedAt", image.created_at_ns.map_or_else(|| "N/A".to_owned(), date)),
        ("Size", size.clone()),
        ("VirtualSize", size),
        ("UniqueSize", "N/A".to_owned()),
        ("SharedSize", "N/A".to_owned()),
        ("Containers", image.containers.to_string()),
    ]);
    row.labels(&image.labels)
}

/// Repository as people write it, and tag; `<none>` for an image known by its digest alone.
pub(super) fn repository(name: &str) -> (String, String) {
    let Ok(image) = name.parse::<ImageRef>() else { return (name.to_owned(), NONE.to_owned()) };
    let tag = image.tag().unwrap_or(NONE).to_owned();
    let bare = format!("{}/{}", image.domain(), image.path());
    let short = bare.parse::<ImageRef>().map(|it| it.to_string()).unwrap_or(bare);
    (short.strip_suffix(":latest").unwrap_or(&short).to_owned(), tag)
}

fn since(at: i64, now: Timestamp) -> String {
    let age = u64::try_from(now.0.saturating_sub(at)).unwrap_or(0);
    format!("{} ago", human_duration(Duration::from_nanos(age)))
}

/// As Go prints a time.
fn date(at: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(at)).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::shown;

    const DAY: i64 = 86_400_000_000_000;

    fn image(name: &str, day: i64) -> Image {
        Image {
            name: name.to_owned(),
            digest: format!("sha256:{}", "ab".repeat(32)),
            size_bytes: 4_200_000,
            created_at_ns: Some(day * DAY),
            repo_digests: Vec::new(),
            labels: [("tier".to_owned(), "back".to_owned())].into(),
            containers: 2,
        }
    }

    #[test]
    fn images_look_as_dockers_do() {
        let digest = format!("sha256:{}", "cd".repeat(32));
        let mut pulled = image("registry.local:5000/web:1", 90);
        pulled.repo_digests = vec![format!("registry.local:5000/web@{digest}")];
        let pinned = image(&format!("docker.io/library/web@{digest}"), 80);
        let images = vec![image("docker.io/library/web:1", 97), pulled, pinned];
        let list = |kind, ids| list(kind, images.clone(), ids, Timestamp(100 * DAY));

        let expected = "\
REPOSITORY                TAG       IMAGE ID       CREATED       SIZE
web                       1         abababababab   3 days ago    4.2MB
registry.local:5000/web   1         abababababab   10 days ago   4.2MB
web                       <none>    abababababab   2 weeks ago   4.2MB
";
        assert_eq!(shown(&list(&KIND, Ids::Short), "table"), expected);
        let digests = shown(&list(&WITH_DIGESTS, Ids::Whole), "table {{.Digest}} {{.ID}}");
        let whole = format!("<none> sha256:{}\n{digest} sha256:", "ab".repeat(32));
        assert!(digests.contains(&whole), "{digests}");
        let fields = "{{.Label \"tier\"}} {{.Containers}} {{.CreatedAt}}";
        let fields = shown(&list(&KIND, Ids::Short), fields);
        assert!(fields.starts_with("back 2 1970-04-08 00:00:00 +0000 UTC\n"), "{fields}");
    }
}
