//! Pushing to a registry that speaks plain HTTP and wants no login, such as one made for a test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::image::digest;
use crate::{Error, Image};

const PATIENCE: Duration = Duration::from_secs(30);
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

impl Image {
    /// Pushes as `<host>/<repository>:<tag>`; `host` is `ADDRESS:PORT`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the registry cannot be reached, [`Error::Registry`] when it refuses.
    pub fn push(&self, host: &str, repository: &str, tag: &str) -> Result<(), Error> {
        let (manifest, blobs) = self.parts();
        for blob in blobs {
            let begin = format!("/v2/{repository}/blobs/uploads/");
            let location = send(host, "POST", &begin, "text/plain", b"")?.ok_or_else(|| {
                Error::Registry { path: begin, answer: "no place to upload to".into() }
            })?;
            let path = location.split_once(host).map_or(location.as_str(), |(_, path)| path);
            let joint = if path.contains('?') { '&' } else { '?' };
            let path = format!("{path}{joint}digest=sha256:{}", digest(blob));
            send(host, "PUT", &path, "application/octet-stream", blob)?;
        }
        send(host, "PUT", &format!("/v2/{repository}/manifests/{tag}"), MANIFEST, manifest)?;
        Ok(())
    }
}

/// One request on a connection of its own; the `Location` of the answer.
fn send(
    host: &str,
    method: &str,
    path: &str,
    kind: &str,
    body: &[u8],
) -> Result<Option<String>, Error> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    );
    let exchange = || {
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = exchange().map_err(Error::io("push to", host))?;
    let (head, _) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    if !status.split(' ').nth(1).is_some_and(|code| code.starts_with('2')) {
        return Err(Error::Registry { path: path.into(), answer });
    }
    let location = lines.filter_map(|line| line.split_once(": "));
    let location = location.filter(|(key, _)| key.eq_ignore_ascii_case("location"));
    Ok(location.map(|(_, value)| value.to_owned()).next())
}
