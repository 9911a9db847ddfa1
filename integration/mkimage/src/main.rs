//! `mkimage --name web:1 --format oci --out web.tar [--package busybox-static]... [--file SRC:DST]...`
//!
//! Prints nothing; the archive is the result, or with `--push HOST:PORT` what a registry has then.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use mkimage::{App, Config, Format, Image, Layers, Tree};

/// Makes a container image archive from Debian packages and files of this host
#[derive(Parser, Debug)]
struct Args {
    /// Name of the image, as NAME:TAG
    #[arg(long)]
    name: String,
    /// Kind of archive
    #[arg(long, value_enum, default_value_t = Format::DockerArchive)]
    format: Format,
    /// How the layers are stored
    #[arg(long, value_enum, default_value_t = Layers::Plain)]
    layers: Layers,
    /// File to write
    #[arg(long, required_unless_present = "push")]
    out: Option<PathBuf>,
    /// Registry to push to, in plain HTTP and without login
    #[arg(long, value_name = "HOST:PORT")]
    push: Option<String>,
    /// Application to make an image of; its files and configuration are its own
    #[arg(long, value_enum, conflicts_with_all = ["packages", "files", "entrypoint", "cmd", "env", "labels"])]
    app: Option<App>,
    /// Debian package to unpack into a layer of its own; may be repeated
    #[arg(long = "package")]
    packages: Vec<String>,
    /// File or directory of this host and its place in the image; may be repeated
    #[arg(long = "file", value_name = "SRC:DST", value_parser = parse_file)]
    files: Vec<(PathBuf, String)>,
    /// One word of the entry point; may be repeated
    #[arg(long, allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    /// One word of the command; may be repeated
    #[arg(long, allow_hyphen_values = true)]
    cmd: Vec<String>,
    /// Environment variable
    #[arg(long, value_name = "K=V")]
    env: Vec<String>,
    /// Label
    #[arg(long = "label", value_name = "K=V", value_parser = parse_label)]
    labels: Vec<(String, String)>,
}

fn parse_file(text: &str) -> Result<(PathBuf, String), String> {
    match text.rsplit_once(':') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.into(), to.into())),
        _ => Err("must be SRC:DST".into()),
    }
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be K=V")?;
    Ok((key.into(), value.into()))
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let image = match args.app {
        Some(app) => app.image(&args.name, args.layers)?,
        None => built(&args)?,
    };
    if let Some(host) = &args.push {
        let (repository, tag) = args.name.rsplit_once(':').unwrap_or((&args.name, "latest"));
        image.push(host, repository, tag)?;
    }
    if let Some(path) = &args.out {
        let out = File::create(path).with_context(|| format!("create {}", path.display()))?;
        image.write(args.format, BufWriter::new(out))?;
    }
    Ok(())
}

/// An image of the packages and files that were named.
fn built(args: &Args) -> anyhow::Result<Image> {
    let mut layers = Vec::new();
    for package in &args.packages {
        layers.push(Tree::from_package(package)?);
    }
    let mut files = Tree::skeleton();
    for (from, to) in &args.files {
        files.add_host(from, to)?;
    }
    layers.push(files);
    let config = Config {
        entrypoint: args.entrypoint.clone(),
        cmd: args.cmd.clone(),
        env: args.env.clone(),
        labels: args.labels.iter().cloned().collect(),
        ..Config::default()
    };
    Ok(Image::build(&args.name, &config, layers, args.layers)?)
}
