//! The content of one layer.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::Error;

/// Documentation and the like, which no image needs.
const SKIPPED: [&str; 4] =
    ["usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/share/info"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Directory { mode: u32 },
    File { mode: u32, bytes: Vec<u8> },
    Symlink { target: String },
}

/// Files of a layer by path without a leading slash. Parents are made as needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// What a bare image needs besides its programs: users, groups, mount points, `/tmp`.
    #[must_use]
    pub fn skeleton() -> Self {
        let mut tree = Self::default();
        let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
        tree.add_file("etc/passwd", 0o644, passwd.into());
        tree.add_file("etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n".into());
        for (path, mode) in
            [("dev", 0o755), ("proc", 0o755), ("sys", 0o755), ("root", 0o700), ("tmp", 0o1777)]
        {
            tree.insert(path, Node::Directory { mode });
        }
        tree
    }

    /// Downloads a Debian package and takes its files; busybox's applets come as links.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] when apt-get or dpkg-deb fails.
    pub fn from_package(package: &str) -> Result<Self, Error> {
        Self::from_packages(&[package.to_owned()])
    }

    /// Downloads Debian packages and takes the files of all of them.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] when apt-get or dpkg-deb fails.
    pub fn from_packages(packages: &[String]) -> Result<Self, Error> {
        let what = packages.join(" ");
        let dir = tempfile::tempdir().map_err(Error::io("make a directory for", what))?;
        let mut download = Command::new("apt-get");
        run(download.args(["download", "-q"]).args(packages).current_dir(dir.path()))?;
        let root = dir.path().join("root");
        let archives = fs::read_dir(dir.path()).map_err(Error::io("read", dir.path().display()))?;
        for archive in archives.flatten().map(|entry| entry.path()) {
            if archive.extension().is_some_and(|extension| extension == "deb") {
                run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&root))?;
            }
        }
        let mut tree = Self::default();
        tree.add_host(&root, "/")?;
        tree.nodes.retain(|path, _| !SKIPPED.iter().any(|skipped| path.starts_with(skipped)));
        Ok(tree)
    }

    /// Adds an empty directory with these permission bits.
    pub fn add_directory(&mut self, path: &str, mode: u32) {
        self.insert(path, Node::Directory { mode });
    }

    /// Adds a file with these permission bits; what was at `path` before is replaced.
    pub fn add_file(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        self.insert(path, Node::File { mode, bytes });
    }

    /// Adds a file or directory of this host at `path`; what was there before is replaced.
    ///
    /// A busybox (`bin/busybox`) brings a link for each of its applets.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be read, [`Error::Program`] when busybox does not run.
    pub fn add_host(&mut self, from: &Path, path: &str) -> Result<(), Error> {
        self.copy(from, path.trim_matches('/'))?;
        let busybox = if path.trim_matches('/') == "bin/busybox" {
            from.to_owned()
        } else {
            from.join("bin/busybox")
        };
        if busybox.is_file() { self.link_applets(&busybox) } else { Ok(()) }
    }

    fn copy(&mut self, from: &Path, path: &str) -> Result<(), Error> {
        let read = |source| Error::io("read", from.display())(source);
        let meta = fs::symlink_metadata(from).map_err(read)?;
        let mode = meta.permissions().mode() & 0o7777;
        if meta.is_symlink() {
            let target = fs::read_link(from).map_err(read)?.to_string_lossy().into_owned();
            self.insert(path, Node::Symlink { target });
        } else if meta.is_dir() {
            if !path.is_empty() {
                self.insert(path, Node::Directory { mode });
            }
            for entry in fs::read_dir(from).map_err(read)? {
                let entry = entry.map_err(read)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let below = if path.is_empty() { name } else { format!("{path}/{name}") };
                self.copy(&entry.path(), &below)?;
            }
        } else {
            self.insert(path, Node::File { mode, bytes: fs::read(from).map_err(read)? });
        }
        Ok(())
    }

    fn link_applets(&mut self, busybox: &Path) -> Result<(), Error> {
        let applets = run(Command::new(busybox).arg("--list-full"))?;
        for applet in applets.lines().filter(|applet| *applet != "bin/busybox") {
            if !self.nodes.contains_key(applet) {
                self.insert(applet, Node::Symlink { target: "/bin/busybox".into() });
            }
        }
        Ok(())
    }

    fn insert(&mut self, path: &str, node: Node) {
        let path = path.trim_matches('/');
        for (end, _) in path.match_indices('/') {
            let parent = path[..end].to_owned();
            self.nodes.entry(parent).or_insert(Node::Directory { mode: 0o755 });
        }
        self.nodes.insert(path.into(), node);
    }

    /// The layer as a tar stream.
    pub(crate) fn to_tar(&self) -> Result<Vec<u8>, Error> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, node) in &self.nodes {
            append(&mut tar, path, node).map_err(Error::io("archive", path))?;
        }
        tar.into_inner().map_err(Error::io("archive", "layer"))
    }
}

fn append(tar: &mut tar::Builder<Vec<u8>>, path: &str, node: &Node) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    match node {
        Node::Directory { mode } => {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(*mode);
            tar.append_data(&mut header, format!("{path}/"), std::io::empty())
        }
        Node::File { mode, bytes } => {
            header.set_mode(*mode);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, path, bytes.as_slice())
        }
        Node::Symlink { target } => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            tar.append_link(&mut header, path, target)
        }
    }
}

pub(crate) fn run(command: &mut Command) -> Result<String, Error> {
    let program = format!("{command:?}");
    let output = command.output().map_err(Error::io("run", &program))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::Program { program, stderr });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Compresses with a fixed header, so that equal input gives equal output.
pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut encoder =
        flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).map_err(Error::io("compress", "layer"))?;
    encoder.finish().map_err(Error::io("compress", "layer"))
}
