//! Calls by their path, with whatever for a message.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;
use tonic::codegen::http::Request;
use tonic::codegen::{Body as _, Service};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::ServiceExt;

/// Longest any answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// One frame, the only one of its call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Frame {
    /// A message whose fields are all absent.
    Empty,
    /// A message that is no protobuf.
    Garbled,
    /// Says that 2 GB are to come.
    Endless,
    /// Ends before its message does.
    Torn,
    /// Says that it is compressed.
    Packed,
    /// Not even a frame.
    Nothing,
}

impl Frame {
    pub(super) const BAD: [Self; 5] =
        [Self::Garbled, Self::Endless, Self::Torn, Self::Packed, Self::Nothing];

    /// Whether it is compressed, the length in four bytes, and the message.
    const fn bytes(self) -> &'static str {
        match self {
            Self::Empty => "\0\0\0\0\0",
            Self::Garbled => "\0\0\0\0\x01\x07",
            Self::Endless => "\0\x7f\x7f\x7f\x7f\x07",
            Self::Torn => "\0\0\0\0\x09\x07",
            Self::Packed => "\x01\0\0\0\x01\x07",
            Self::Nothing => "",
        }
    }
}

/// Makes the call and says what became of it: `Ok` as soon as there is a message, `Unavailable` when
/// there is no answer, as where the handshake is refused.
pub(super) async fn call(channel: &Channel, path: &str, frame: Frame) -> Code {
    let answered = timeout(PATIENCE, answer(channel.clone(), path, frame)).await;
    answered.unwrap_or_else(|_| panic!("no answer to {path} with {frame:?}"))
}

async fn answer(mut channel: Channel, path: &str, frame: Frame) -> Code {
    let request = Request::post(format!("http://manager{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(frame.bytes().to_owned()))
        .unwrap();
    let ready = channel.ready().await;
    let answer = match ready {
        Ok(channel) => channel.call(request).await,
        Err(error) => Err(error),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(_) => return Code::Unavailable,
    };
    if let Some(status) = Status::from_header_map(answer.headers()) {
        return status.code();
    }
    let mut body = answer.into_body();
    match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        Some(Ok(frame)) => match frame.trailers_ref() {
            Some(trailers) => {
                Status::from_header_map(trailers).map_or(Code::Unknown, |it| it.code())
            }
            None => Code::Ok,
        },
        Some(Err(status)) => status.code(),
        None => Code::Unknown,
    }
}
