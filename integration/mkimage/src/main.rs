//! `mkimage --name web:1 --format oci --out web.tar [--package busybox-static]... [--file SRC:DST]...`
//!
//! Prints nothing; the archive is the result, or with `--push HOST:PORT` what a registry has then.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use mkimage::{Config, Format, Image, Layers, Tree};

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
        entrypoint: args.entrypoint,
        cmd: args.cmd,
        env: args.env,
        labels: args.labels.into_iter().collect(),
        ..Config::default()
    };
    let image = Image::build(&args.name, &config, layers, args.layers)?;
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
