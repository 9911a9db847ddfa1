//! containerd's content store: blobs in, documents out.
//!
//! A write has a name. An unfinished one keeps its bytes until it is aborted or what holds it is
//! gone, so that it can go on where it broke off.

use std::collections::HashMap;
use std::time::Duration;

use containerd_client::services::v1::{
    AbortRequest, Info, InfoRequest, ReadContentRequest, StatusRequest, UpdateRequest, WriteAction,
    WriteContentRequest,
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

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upload<'a> {
    pub(crate) digest: &'a str,
    pub(crate) size: u64,
    /// What keeps other things alive as long as this blob lives.
    pub(crate) labels: &'a Labels,
}

/// Writes a blob unless it is there already; containerd checks the digest.
pub(crate) async fn write(
    link: &Link,
    upload: Upload<'_>,
    source: impl AsyncRead + Unpin,
) -> Result<(), Error> {
    let name = format!("swarm-{}-{:016x}", upload.digest, rand::random::<u64>());
    let deadline = QUICK * 6 + Duration::from_secs(upload.size / SLOWEST);
    let late = Error::TimedOut { call: "write content", waited: deadline };
    let written = append(link, &name, upload, 0, source);
    let written = tokio::time::timeout(deadline, written).await.unwrap_or(Err(late));
    if written.is_err() {
        let _ = abort(link, &name).await;
    }
    written
}

/// Writes a blob from `offset` on under a name of its own, which may hold its beginning. When
/// the source breaks, what came so far stays, to go on with.
pub(crate) async fn append(
    link: &Link,
    name: &str,
    upload: Upload<'_>,
    offset: u64,
    source: impl AsyncRead + Unpin,
) -> Result<(), Error> {
    let (sender, queue) = mpsc::channel(2);
    let mut sent = std::pin::pin!(send(link, ReceiverStream::new(queue)));
    let fed = tokio::select! {
        sent = &mut sent => Err(sent),
        fed = feed(name, upload, offset, source, sender) => Ok(fed),
    };
    let deadline = QUICK * 6 + Duration::from_secs(upload.size / SLOWEST);
    let late = Error::TimedOut { call: "write content", waited: deadline };
    let written = match fed {
        // containerd hung up: it says why, unless the connection went.
        Err(sent) => sent.and(Err(Error::Unavailable { call: "write content" })),
        Ok(Ok(())) => tokio::time::timeout(deadline, sent).await.unwrap_or(Err(late)),
        Ok(Err(broken)) => {
            // A source that broke is the cause, the unfinished write its effect. What was sent
            // is written before the name is free again.
            let _ = tokio::time::timeout(QUICK, sent).await;
            return Err(broken);
        }
    };
    match written.or_present()? {
        Some(()) => Ok(()),
        None => relabel(link, upload).await,
    }
}

/// Throws an unfinished write away.
pub(crate) async fn abort(link: &Link, name: &str) -> Result<(), Error> {
    let request = AbortRequest { r#ref: name.into() };
    rpc("abort content", QUICK, link.content().abort(request)).await.or_absent().map(drop)
}

/// Bytes an unfinished write of that name has.
pub(crate) async fn unfinished(link: &Link, name: &str) -> Result<u64, Error> {
    let request = StatusRequest { r#ref: name.into() };
    let found = rpc("stat content", QUICK, link.content().status(request)).await.or_absent()?;
    let status = found.and_then(|found| found.status);
    Ok(status.map_or(0, |status| u64::try_from(status.offset).unwrap_or(0)))
}

/// True when the blob is there, whole.
pub(crate) async fn holds(link: &Link, digest: &str) -> Result<bool, Error> {
    let request = InfoRequest { digest: digest.into() };
    let found = rpc("stat content", QUICK, link.content().info(request)).await;
    Ok(found.or_absent()?.is_some())
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
    mut offset: u64,
    mut source: impl AsyncRead + Unpin,
    requests: mpsc::Sender<WriteContentRequest>,
) -> Result<(), Error> {
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let request = |action: WriteAction, offset: u64, data: Vec<u8>| WriteContentRequest {
        action: action.into(),
        r#ref: name.into(),
        total: signed(upload.size),
        expected: upload.digest.into(),
        offset: signed(offset),
        data,
        labels: Labels::new(),
    };
    let pass = async |request| {
        let late = Error::TimedOut { call: "write content", waited: QUICK * 6 };
        tokio::time::timeout(QUICK * 6, requests.send(request)).await.map_err(|_| late)
    };
    loop {
        let mut data = Vec::with_capacity(CHUNK);
        let mut part = (&mut source).take(CHUNK as u64);
        let read = part.read_to_end(&mut data).await.map_err(Error::io("read a blob"));
        // What came before it broke counts.
        let length = data.len() as u64;
        if length > 0 {
            if pass(request(WriteAction::Write, offset, data)).await?.is_err() {
                return Ok(());
            }
            offset += length;
        }
        if read? == 0 {
            break;
        }
    }
    let mut commit = request(WriteAction::Commit, offset, Vec::new());
    commit.labels = upload.labels.clone();
    let _ = pass(commit).await?;
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
