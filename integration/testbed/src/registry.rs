//! A private registry: Debian's `docker-registry` on the loopback.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const START: Duration = Duration::from_secs(20);

/// What stands between clients and the images.
#[derive(Clone, Debug, Default)]
pub struct Front {
    /// Files with certificate chain and key; `None` means plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// User and password that are wanted; `None` means no login.
    pub login: Option<(String, String)>,
}

/// A running registry, stopped when dropped.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    /// Starts a registry that keeps its images in `dir`, which several may share. Returns when
    /// it accepts connections.
    ///
    /// # Panics
    ///
    /// When it does not within 20 s, or `docker-registry` or `htpasswd` is not installed.
    #[must_use]
    pub fn start(dir: &Path, front: &Front) -> Self {
        let port = free_port();
        let config = dir.join(format!("registry-{port}.yml"));
        fs::write(&config, text(dir, port, front)).unwrap_or_else(|why| panic!("{why}"));
        let log = dir.join(format!("registry-{port}.log"));
        let out = File::create(&log).unwrap_or_else(|why| panic!("make {log:?}: {why}"));
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).env("OTEL_TRACES_EXPORTER", "none");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(out).spawn();
        let child = child.unwrap_or_else(|why| panic!("start docker-registry: {why}"));
        let registry = Self { child, port };
        let deadline = Instant::now() + START;
        while TcpStream::connect(registry.host()).is_err() {
            let log = || fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < deadline, "the registry does not come up:\n{}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
        registry
    }

    /// `127.0.0.1:PORT`, as it stands in names of images.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.unwrap_or_else(|why| panic!("find a port: {why}")).port()
}

fn text(dir: &Path, port: u16, front: &Front) -> String {
    let mut text = format!(
        "version: 0.1\nlog:\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
         rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
        dir.join("images").display()
    );
    if let Some((certificate, key)) = &front.tls {
        let (certificate, key) = (certificate.display(), key.display());
        text += &format!("  tls:\n    certificate: {certificate}\n    key: {key}\n");
    }
    if let Some((user, password)) = &front.login {
        let file = dir.join(format!("htpasswd-{port}"));
        fs::write(&file, entry(user, password)).unwrap_or_else(|why| panic!("{why}"));
        text += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", file.display());
    }
    text
}

/// A line of a password file; registries take bcrypt only.
fn entry(user: &str, password: &str) -> Vec<u8> {
    let made = Command::new("htpasswd").args(["-nbB", "-C", "4", user, password]).output();
    let made = made.unwrap_or_else(|why| panic!("run htpasswd: {why}"));
    assert!(made.status.success(), "{made:?}");
    made.stdout
}
