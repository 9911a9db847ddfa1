//! A registry that answers as a test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request, as far as registries look at it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    /// First byte that is wanted.
    pub(crate) from: usize,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Bytes of the body after which the connection breaks.
    pub(crate) cut: Option<usize>,
    /// Instead of breaking, the connection stays and says nothing.
    pub(crate) hang: bool,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((key, value.into()));
        self
    }
}

type Answer = dyn Fn(&Asked, &Content) -> Option<Reply> + Send + Sync;

/// What it has: path behind `/v2/`, media type, bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content(BTreeMap<String, (String, Vec<u8>)>);

impl Content {
    /// An image under `web:1` and by digest.
    pub(crate) fn of(image: &testbed::Image) -> Self {
        let mut content = Self::default();
        content.add(image, "1");
        content
    }

    /// Another image under `web:<tag>` and by digest.
    pub(crate) fn add(&mut self, image: &testbed::Image, tag: &str) {
        let kind = "application/vnd.oci.image.manifest.v1+json";
        for (path, bytes) in image.members(testbed::Format::Oci).unwrap() {
            let Some(digest) = path.strip_prefix("blobs/sha256/") else { continue };
            let digest = format!("sha256:{digest}");
            if digest == image.digest() {
                self.manifest(tag, kind, &bytes);
                self.manifest(&digest, kind, &bytes);
            } else {
                self.blob(&digest, bytes);
            }
        }
    }

    pub(crate) fn manifest(&mut self, which: &str, kind: &str, bytes: &[u8]) {
        self.0.insert(format!("web/manifests/{which}"), (kind.into(), bytes.to_vec()));
    }

    pub(crate) fn blob(&mut self, digest: &str, bytes: Vec<u8>) {
        let kind = "application/octet-stream".into();
        self.0.insert(format!("web/blobs/{digest}"), (kind, bytes));
    }

    /// Path and bytes of the largest blob.
    pub(crate) fn largest(&self) -> (String, Vec<u8>) {
        let (path, (_, bytes)) = self.0.iter().max_by_key(|(_, (_, it))| it.len()).unwrap();
        (path.clone(), bytes.clone())
    }

    /// As a good registry answers.
    pub(crate) fn reply(&self, asked: &Asked) -> Reply {
        let Some((kind, bytes)) = self.0.get(&asked.path) else { return Reply::status(404) };
        let status = if asked.from > 0 { 206 } else { 200 };
        let body = bytes[asked.from.min(bytes.len())..].to_vec();
        Reply { status, body, ..Reply::default() }.with("Content-Type", kind)
    }
}

/// The running server; it ends with this.
pub(crate) struct Mock {
    pub(crate) host: String,
    log: Arc<Mutex<Vec<Asked>>>,
    server: JoinHandle<()>,
}

impl Mock {
    /// `answer` may leave a request to the content.
    pub(crate) async fn start(
        content: Content,
        answer: impl Fn(&Asked, &Content) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let log = Arc::<Mutex<Vec<Asked>>>::default();
        let shared: Arc<(Content, Box<Answer>)> = Arc::new((content, Box::new(answer)));
        let noted = Arc::clone(&log);
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, noted) = (Arc::clone(&shared), Arc::clone(&noted));
                connections.spawn(async move { serve(stream, &shared, &noted).await });
            }
        });
        Self { host, log, server }
    }

    /// A good one.
    pub(crate) async fn good(content: Content) -> Self {
        Self::start(content, |_, _| None).await
    }

    pub(crate) fn name(&self) -> String {
        format!("{}/web:1", self.host)
    }

    /// What was asked, in order.
    pub(crate) fn log(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn asked_for(&self, part: &str) -> Vec<Asked> {
        self.log().into_iter().filter(|asked| asked.path.contains(part)).collect()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// One request per connection; anything that is no HTTP, such as TLS, ends it.
async fn serve(
    mut stream: TcpStream,
    shared: &(Content, Box<Answer>),
    log: &Mutex<Vec<Asked>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
        if !head.starts_with(&b"GET "[..head.len().min(4)]) {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?;
    let header = |wanted: &str| {
        let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
        pairs.find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned())
    };
    let range = header("range");
    let from = range.and_then(|range| range[6..].trim_end_matches('-').parse().ok());
    let asked = Asked {
        path: path.trim_start_matches("/v2/").to_owned(),
        authorization: header("authorization"),
        from: from.unwrap_or(0),
    };
    log.lock().unwrap().push(asked.clone());
    let reply = (shared.1)(&asked, &shared.0).unwrap_or_else(|| shared.0.reply(&asked));
    let length = reply.body.len();
    let mut text = format!("HTTP/1.1 {} x\r\nContent-Length: {length}\r\n", reply.status);
    for (key, value) in &reply.headers {
        text += &format!("{key}: {value}\r\n");
    }
    text += "Connection: close\r\n\r\n";
    stream.write_all(text.as_bytes()).await.ok()?;
    stream.write_all(&reply.body[..reply.cut.unwrap_or(length).min(length)]).await.ok()?;
    if reply.hang {
        stream.flush().await.ok()?;
        let _ = stream.read_u8().await;
    }
    Some(())
}
