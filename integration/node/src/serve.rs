//! Shortest ways to have a service, and to look into it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use testbed::Format;

use crate::{Node, Ran};

/// How long a connection may take: a request that is not answered is tried again by its test.
const ANSWER: Duration = Duration::from_secs(2);

impl Node {
    /// Creates a service of `busybox:test` without waiting for it; tasks that end are replaced
    /// at once, and stopped ones get a second.
    #[track_caller]
    pub fn serve(&self, name: &str, flags: &[&str], command: &[&str]) {
        self.serve_image(name, flags, "busybox:test", command);
    }

    /// As [`Node::serve`], of another image.
    #[track_caller]
    pub fn serve_image(&self, name: &str, flags: &[&str], image: &str, command: &[&str]) {
        let line = ["service", "create", "-d", "--name", name, "--restart-delay", "0s"];
        let line = [&line[..], &["--stop-grace-period", "1s"], flags, &[image], command].concat();
        let _ = self.swarm(&line).ok();
    }

    /// Changes a service without waiting for it.
    #[track_caller]
    pub fn update(&self, name: &str, flags: &[&str]) {
        let _ = self.swarm(&[&["service", "update", "-d"], flags, &[name]].concat()).ok();
    }

    /// Runs a shell's script inside a task.
    #[track_caller]
    pub fn inside(&self, task: &str, script: &str) -> Ran {
        self.swarm(&["exec", task, "sh", "-c", script])
    }

    /// Loads `image`.
    ///
    /// # Panics
    ///
    /// When it cannot be written or loaded.
    #[track_caller]
    pub fn load(&self, image: &mkimage::Image) {
        let path = self.dir().join("image.tar");
        let mut file = std::fs::File::create(&path).unwrap_or_else(|why| panic!("{why}"));
        let written = image.write(Format::DockerArchive, &mut file);
        written.unwrap_or_else(|why| panic!("write {path:?}: {why}"));
        let _ = self.swarm(&["image", "load", "-i", &path.display().to_string()]).ok();
        let _ = std::fs::remove_file(path);
    }

    /// Asks a port of the node for a page over HTTP, from the node itself.
    ///
    /// # Errors
    ///
    /// When nothing answers there.
    pub fn page(&self, port: u16, path: &str) -> io::Result<String> {
        self.netns().run(|| {
            let mut stream = TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), ANSWER)?;
            stream.set_read_timeout(Some(ANSWER))?;
            write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        })
    }
}
