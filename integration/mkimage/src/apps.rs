//! Images of real applications, from their Debian packages and the libraries those need.

use std::process::Command;

use crate::tree::run;
use crate::{Config, Error, Image, Layers, Tree};

/// An application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum App {
    /// Redis on 6379/tcp; user `redis`, appends to files in the volume `/data`.
    Redis,
    /// nginx on 80/tcp; serves `/srv/www`, reloads on SIGHUP, ends gently on SIGQUIT.
    Nginx,
    /// Python's own web server on 8000/tcp; user `nobody`, serves `/srv`.
    Python,
}

const NGINX: &str = r#"
error_log /dev/stderr;
pid /run/nginx.pid;
events {}
http {
    access_log /dev/stdout;
    server {
        listen 80;
        root /srv/www;
        location = /health { access_log off; return 200 "well"; }
    }
}
"#;

const PYTHON_CHECK: &str =
    "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/', timeout=2)";

impl App {
    /// Builds its image: a layer of busybox, one of packages, one of its own files.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] when the packages cannot be had.
    pub fn image(self, name: &str, layers: Layers) -> Result<Image, Error> {
        let packages = Tree::from_packages(&closure(self.packages())?)?;
        let shell = Tree::from_package("busybox-static")?;
        Image::build(name, &self.config(), vec![shell, packages, self.files()], layers)
    }

    const fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Redis => &["redis-server", "redis-tools"],
            Self::Nginx => &["nginx", "nginx-common"],
            Self::Python => &["python3-minimal", "python3.11-minimal", "libpython3.11-stdlib"],
        }
    }

    fn files(self) -> Tree {
        let mut files = Tree::skeleton();
        match self {
            Self::Redis => {
                let passwd =
                    "root:x:0:0:root:/root:/bin/sh\nredis:x:999:999:redis:/data:/bin/false\n";
                files.add_file("etc/passwd", 0o644, passwd.into());
                files.add_file("etc/group", 0o644, "root:x:0:\nredis:x:999:\n".into());
                files.add_directory("data", 0o777);
            }
            Self::Nginx => {
                files.add_file("etc/nginx/nginx.conf", 0o644, NGINX.into());
                files.add_file("srv/www/index.html", 0o644, "it works\n".into());
                // The worker's user has this group.
                files.add_file(
                    "etc/group",
                    0o644,
                    "root:x:0:\nnobody:x:65534:\nnogroup:x:65534:\n".into(),
                );
                files.add_directory("run", 0o755);
                files.add_directory("var/lib/nginx", 0o755);
                files.add_directory("var/log/nginx", 0o755);
            }
            Self::Python => files.add_file("srv/index.html", 0o644, "it works\n".into()),
        }
        files
    }

    fn config(self) -> Config {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Self::Redis => Config {
                entrypoint: words(&["redis-server"]),
                cmd: words(&["--dir", "/data", "--appendonly", "yes", "--protected-mode", "no"]),
                user: "redis".into(),
                dir: "/data".into(),
                volumes: words(&["/data"]),
                exposed: words(&["6379/tcp"]),
                healthcheck: words(&["CMD", "redis-cli", "ping"]),
                ..Config::default()
            },
            Self::Nginx => Config {
                entrypoint: words(&["nginx"]),
                cmd: words(&["-g", "daemon off;"]),
                stop_signal: "SIGQUIT".into(),
                exposed: words(&["80/tcp"]),
                healthcheck: words(&["CMD-SHELL", "wget -q -O /dev/null http://127.0.0.1/health"]),
                ..Config::default()
            },
            Self::Python => Config {
                entrypoint: words(&["python3"]),
                cmd: words(&["-m", "http.server", "8000"]),
                user: "nobody".into(),
                dir: "/srv".into(),
                // The first process gets no default action for SIGTERM.
                stop_signal: "SIGINT".into(),
                exposed: words(&["8000/tcp"]),
                healthcheck: words(&["CMD", "python3", "-c", PYTHON_CHECK]),
                ..Config::default()
            },
        }
    }
}

/// The packages, and the libraries they need.
fn closure(packages: &[&str]) -> Result<Vec<String>, Error> {
    let mut command = Command::new("apt-cache");
    command.args(["depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts"]);
    command.args(["--no-breaks", "--no-replaces", "--no-enhances"]).args(packages);
    let mut names: Vec<String> = run(&mut command)?
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_alphanumeric()))
        .filter(|name| packages.contains(name) || is_library(name))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Without those that only the installers of packages use.
fn is_library(name: &str) -> bool {
    let other =
        ["libperl", "libpam", "libnewt", "libslang", "libtextwrap", "libdebian", "libsemanage"];
    (name.starts_with("lib") || name == "zlib1g")
        && !name.ends_with("-perl")
        && !other.iter().any(|it| name.starts_with(it))
}
