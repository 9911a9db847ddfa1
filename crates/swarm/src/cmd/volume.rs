//! `swarm volume create | ls | inspect | prune | rm`: named volumes of this node.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use swarm_client::{Client, LocalVolume, Missing};
use swarm_types::text::natural_cmp;

use super::prune::{confirmed, outrun};
use crate::flags::grammar;
use crate::output::{List, ListKind, Printer, Row};
use crate::view::filter::{self, FilterArgs};
use crate::view::json;

/// Label of a volume that nobody named, as Docker marks it.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

static KIND: ListKind = ListKind {
    table: "{{.Driver}}\t{{.Name}}",
    headers: &[
        ("Driver", "DRIVER"),
        ("Name", "VOLUME NAME"),
        ("Mountpoint", "MOUNTPOINT"),
        ("Scope", "SCOPE"),
        ("Size", "SIZE"),
        ("Links", "LINKS"),
        ("Labels", "LABELS"),
    ],
    raw: &[("name", "{{.Name}}"), ("driver", "{{.Driver}}")],
    quiet: "{{.Name}}",
    config_key: "volumesFormat",
};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Make a volume
    Create(Create),
    /// List the volumes
    #[command(visible_alias = "list")]
    Ls(Ls),
    /// Show volumes in full
    Inspect(Inspect),
    /// Remove volumes that no container has
    Prune(Prune),
    /// Remove volumes with their content
    #[command(visible_alias = "remove")]
    Rm(Rm),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Create {
    /// Driver of the volume
    #[arg(long, short, default_value = "local")]
    driver: String,
    /// Option of the driver
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = grammar::pair)]
    opt: Vec<(String, String)>,
    /// Label of the volume
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = grammar::label)]
    label: Vec<(String, String)>,
    /// Name of the volume; one is made up when left out
    #[arg(default_value = "", hide_default_value = true)]
    name: String,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Ls {
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Inspect {
    /// Go template for each volume, as with --format
    #[arg(short = 'f', value_name = "TEMPLATE")]
    template: Option<String>,
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Prune {
    /// Remove named volumes too, not only those nobody named
    #[arg(long, short)]
    all: bool,
    /// Do not ask
    #[arg(long, short)]
    force: bool,
    // Without -f, which is --force here.
    /// Remove only what matches KEY=VALUE; may be repeated
    #[arg(long = "filter", value_name = "KEY=VALUE", value_parser = filter::parse)]
    filters: Vec<(String, String)>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Rm {
    /// No error for a volume that is not there
    #[arg(long, short)]
    force: bool,
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,
}

pub(crate) async fn run(
    command: Command,
    client: &Client,
    out: &mut Printer,
) -> anyhow::Result<()> {
    match command {
        Command::Create(args) => {
            let wanted = LocalVolume {
                name: args.name,
                driver: args.driver,
                labels: args.label.into_iter().collect(),
                options: args.opt.into_iter().collect(),
                ..LocalVolume::default()
            };
            Ok(out.line(client.create_volume(&wanted).await?.name)?)
        }
        Command::Ls(args) => ls(&args, client, out).await,
        Command::Inspect(args) => inspect(&args, client, out).await,
        Command::Prune(args) => prune(args, client, out).await,
        Command::Rm(args) => rm(&args, client, out).await,
    }
}

async fn ls(args: &Ls, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let filters = args.filter.of(&["dangling", "driver", "label", "name"])?;
    let dangling = filters.flag("dangling")?;
    let mut volumes = client.volumes().await?;
    volumes.retain(|volume| {
        dangling.is_none_or(|dangling| dangling == (volume.containers == 0))
            && filters.any("driver", |driver| volume.driver == driver)
            && filters.any("name", |part| volume.name.contains(part))
            && filters.labels("label", &volume.labels)
    });
    out.list(&list(volumes))
}

fn list(mut volumes: Vec<LocalVolume>) -> List {
    volumes.sort_by(|a, b| natural_cmp(&a.name, &b.name));
    let row = |volume: LocalVolume| {
        let row = Row::new([
            ("Driver", volume.driver),
            ("Name", volume.name),
            ("Mountpoint", volume.mountpoint),
            ("Scope", "local".to_owned()),
            ("Size", "N/A".to_owned()),
            ("Links", volume.containers.to_string()),
        ]);
        row.labels(&volume.labels)
    };
    List::new(&KIND, volumes.into_iter().map(row).collect())
}

async fn inspect(args: &Inspect, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let volumes = client.volumes().await?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &args.volumes {
        match volumes.iter().find(|volume| volume.name == *name) {
            Some(volume) => found.push(object(volume)),
            None => missing.push(format!("no such volume: {name}")),
        }
    }
    out.inspect(&found, args.template.as_deref())?;
    crate::cmd::all_done(&missing)
}

/// As `GET /volumes/{name}` shows it.
fn object(volume: &LocalVolume) -> Value {
    let or_null = |pairs: &BTreeMap<String, String>| {
        if pairs.is_empty() { Value::Null } else { json!(pairs) }
    };
    json!({
        "CreatedAt": json::time(volume.created_at),
        "Driver": volume.driver,
        "Labels": or_null(&volume.labels),
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Options": or_null(&volume.options),
        "Scope": "local",
    })
}

async fn prune(args: Prune, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let filters = FilterArgs::new(args.filters).of(&["all", "label", "label!"])?;
    let all = args.all || filters.flag("all")?.unwrap_or(false);
    if !args.force {
        let which = if all { "all" } else { "anonymous" };
        let what = format!("{which} local volumes not used by at least one container");
        confirmed(&what, "volume", out)?;
    }
    let mut unused = client.volumes().await?;
    unused.retain(|volume| {
        volume.containers == 0
            && (all || volume.labels.contains_key(ANONYMOUS))
            && filters.labels("label", &volume.labels)
            && filters.without("label!", &volume.labels)
    });
    if unused.is_empty() {
        out.note(if all {
            "no unused volumes"
        } else {
            "no unused volumes that nobody named; --all removes named ones too"
        });
        return Ok(());
    }
    out.line("Deleted Volumes:")?;
    let mut failed = Vec::new();
    for volume in unused {
        match client.remove_volume(&volume.name, Missing::Refuse).await {
            Ok(()) => out.line(volume.name)?,
            Err(error) if outrun(&error) => {}
            Err(error) => failed.push(error),
        }
    }
    super::all_done(&failed)
}

async fn rm(args: &Rm, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let missing = if args.force { Missing::Ignore } else { Missing::Refuse };
    let mut failed = Vec::new();
    for name in &args.volumes {
        match client.remove_volume(name, missing).await {
            Ok(()) => out.line(name)?,
            Err(error) => failed.push(error),
        }
    }
    crate::cmd::all_done(&failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::shown;

    #[test]
    fn volumes_look_as_dockers_do() {
        let volume = |name: &str| LocalVolume {
            name: name.into(),
            driver: "local".into(),
            labels: [("a".to_owned(), "1".to_owned())].into(),
            ..LocalVolume::default()
        };
        let list = list(vec![volume("data-10"), volume("data-2")]);

        assert_eq!(
            shown(&list, "table"),
            "DRIVER    VOLUME NAME\nlocal     data-2\nlocal     data-10\n"
        );
        assert_eq!(shown(&list, "{{.Label \"a\"}}{{.Labels}}").lines().next(), Some("1a=1"));
        assert_eq!(object(&volume("x"))["Options"], Value::Null);
    }
}
