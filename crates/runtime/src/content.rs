//! containerd's content store: blobs in, documents out, leases around.

use std::collections::HashMap;
use std::time::Duration;

use containerd_client::services::v1::{
    AbortRequest, CreateRequest, DeleteRequest, Info, ReadContentRequest, UpdateRequest,
    WriteAction, WriteContentRequest,
};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::Error;
use crate::error::Tolerate;
use crate::rpc::{Link, QUICK, refusal, rpc};

pub(crate) type Labels = HashMap<String, String>;

/// Bytes per message; containerd takes 4 MiB at most.
const CHUNK: usize = 1 << 20;
/// Slowest disk a write is waited for, in bytes per second.
const SLOWEST: u64 = 1 << 20;
/// Largest document read back.
const DOCUMENT: usize = 8 << 20;
/// After this time containerd gives up a lease whose owner died.
const LEASE: Duration = Duration::from_secs(6 * 3600);

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upload<'a> {
    pub(crate) digest: &'a str,
    pub(crate) size: u64,
    /// What keeps other things alive as long as this blob lives.
    pub(crate) labels: &'a Labels,
}

/// A lease by name; whoever takes one releases it.
pub(crate) async fn lease(link: &Link) -> Result<String, Error> {
    let id = format!("swarm-{:016x}", rand::random::<u64>());
    let expires = jiff::Timestamp::now() + LEASE;
    let labels = Labels::from([("containerd.io/gc.expire".into(), expires.to_string())]);
    let request = CreateRequest { id: id.clone(), labels };
    rpc("create lease", QUICK, link.leases().create(request)).await?;
    Ok(id)
}

/// Deletes a lease and waits until what only it held is gone.
pub(crate) async fn release(link: &Link, lease: &str) -> Result<(), Error> {
    let request = DeleteRequest { id: lease.into(), sync: true };
    let wait = Duration::from_secs(60);
    rpc("delete lease", wait, link.leases().delete(request)).await.or_absent().map(drop)
}

/// Writes a blob unless it is there already; containerd checks the digest.
pub(crate) async fn write(
    link: &Link,
    upload: Upload<'_>,
    source: impl AsyncRead + Unpin,
) -> Result<(), Error> {
    let name = format!("swarm-{}-{:016x}", upload.digest, rand::random::<u64>());
    let deadline = QUICK * 6 + Duration::from_secs(upload.size / SLOWEST);
    let (sender, queue) = mpsc::channel(2);
    let both = async {
        tokio::join!(feed(&name, upload, source, sender), send(link, ReceiverStream::new(queue)))
    };
    let late = Error::TimedOut { call: "write content", waited: deadline };
    let written = match tokio::time::timeout(deadline, both).await {
        Err(_) => Err(late),
        // A source that broke is the cause, the unfinished write its effect.
        Ok((Err(broken), _)) => Err(broken),
        Ok((Ok(()), sent)) => sent,
    };
    match written.or_present() {
        Ok(Some(())) => Ok(()),
        Ok(None) => relabel(link, upload).await,
        Err(failure) => {
            let request = AbortRequest { r#ref: name };
            let _ = rpc("abort content", QUICK, link.content().abort(request)).await;
            Err(failure)
        }
    }
}

async fn send(link: &Link, requests: ReceiverStream<WriteContentRequest>) -> Result<(), Error> {
    let refused = |status| refusal("write content", status);
    let mut answers = link.content().write(requests).await.map_err(refused)?.into_inner();
    while answers.message().await.map_err(refused)?.is_some() {}
    Ok(())
}

/// Ends early, without an error, when the other side hangs up: it says why.
async fn feed(
    name: &str,
    upload: Upload<'_>,
    mut source: impl AsyncRead + Unpin,
    requests: mpsc::Sender<WriteContentRequest>,
) -> Result<(), Error> {
    let total = i64::try_from(upload.size).unwrap_or(i64::MAX);
    let request = |action: WriteAction, offset: i64, data: Vec<u8>| WriteContentRequest {
        action: action.into(),
        r#ref: name.into(),
        total,
        expected: upload.digest.into(),
        offset,
        data,
        labels: Labels::new(),
    };
    let mut offset = 0;
    loop {
        let mut data = Vec::with_capacity(CHUNK);
        let mut part = (&mut source).take(CHUNK as u64);
        let read = part.read_to_end(&mut data).await.map_err(Error::io("read a blob"))?;
        if read == 0 {
            break;
        }
        if requests.send(request(WriteAction::Write, offset, data)).await.is_err() {
            return Ok(());
        }
        offset += i64::try_from(read).unwrap_or(i64::MAX);
    }
    let mut commit = request(WriteAction::Commit, offset, Vec::new());
    commit.labels = upload.labels.clone();
    let _ = requests.send(commit).await;
    Ok(())
}

/// A blob that was there may lack our labels.
async fn relabel(link: &Link, upload: Upload<'_>) -> Result<(), Error> {
    if upload.labels.is_empty() {
        return Ok(());
    }
    let paths = upload.labels.keys().map(|key| format!("labels.{key}")).collect();
    let info =
        Info { digest: upload.digest.into(), labels: upload.labels.clone(), ..Info::default() };
    let request =
        UpdateRequest { info: Some(info), update_mask: Some(prost_types::FieldMask { paths }) };
    rpc("label content", QUICK, link.content().update(request)).await.map(drop)
}

/// Reads a document; `None` when it is not there.
pub(crate) async fn read(link: &Link, digest: &str) -> Result<Option<Vec<u8>>, Error> {
    let request = ReadContentRequest { digest: digest.into(), offset: 0, size: 0 };
    let mut client = link.content();
    let all = async {
        let refused = |status| refusal("read content", status);
        let mut parts = client.read(request).await.map_err(refused)?.into_inner();
        let mut bytes = Vec::new();
        while let Some(part) = parts.message().await.map_err(refused)? {
            if bytes.len() + part.data.len() > DOCUMENT {
                let limit = DOCUMENT as u64;
                let large = crate::BadArchive::TooLarge { what: "bytes in a document", limit };
                return Err(large.into());
            }
            bytes.extend(part.data);
        }
        Ok(bytes)
    };
    let late = Error::TimedOut { call: "read content", waited: QUICK };
    tokio::time::timeout(QUICK, all).await.unwrap_or(Err(late)).or_absent()
}
