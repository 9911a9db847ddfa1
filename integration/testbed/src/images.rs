//! Images of busybox, which is fetched once per process.

use std::sync::OnceLock;

use mkimage::{Config, Format, Image, Layers, Tree};

/// Busybox with links for its applets: that of this host, else from the package archive.
///
/// # Panics
///
/// When busybox is neither installed nor to be had from the package archive.
#[must_use]
pub fn busybox_tree() -> Tree {
    static TREE: OnceLock<Tree> = OnceLock::new();
    let tree = TREE.get_or_init(|| {
        let mut tree = Tree::default();
        let installed = std::path::Path::new("/bin/busybox");
        if installed.exists() && tree.add_host(installed, "/bin/busybox").is_ok() {
            return tree;
        }
        Tree::from_package("busybox-static").unwrap_or_else(|why| panic!("get busybox: {why}"))
    });
    tree.clone()
}

/// A busybox image of that name and configuration, without its archive form.
///
/// # Panics
///
/// As [`busybox_tree`].
#[must_use]
pub fn busybox(name: &str, config: &Config, layers: Layers) -> Image {
    Image::build(name, config, vec![busybox_tree(), Tree::skeleton()], layers)
        .unwrap_or_else(|why| panic!("build busybox: {why}"))
}

/// The archive of `busybox:test`, whose command is `sh`.
///
/// # Panics
///
/// As [`busybox_tree`].
#[must_use]
pub fn busybox_archive(format: Format, layers: Layers) -> Vec<u8> {
    let config = Config { cmd: vec!["/bin/sh".into()], ..Config::default() };
    let mut archive = Vec::new();
    let written = busybox("busybox:test", &config, layers).write(format, &mut archive);
    written.unwrap_or_else(|why| panic!("write busybox: {why}"));
    archive
}
