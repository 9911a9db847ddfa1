//! A body that ends when its time is over, wherever in its messages that is.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Bytes, http};

/// Resolves when the time is over, with the reason.
type Over = Pin<Box<dyn Future<Output = Status> + Send>>;

/// A body, until its time is over.
pub(super) struct Ending {
    body: Body,
    over: Option<Over>,
    last: fn(Status) -> Result<Frame<Bytes>, Status>,
}

impl Ending {
    /// What is asked: it breaks, and with it the call.
    pub(super) fn request(body: Body, over: impl Future<Output = Status> + Send + 'static) -> Body {
        Body::new(Self { body, over: Some(Box::pin(over)), last: Err })
    }

    /// What is answered: the call ends with the reason.
    pub(super) fn response(
        body: Body,
        over: impl Future<Output = Status> + Send + 'static,
    ) -> Body {
        Body::new(Self { body, over: Some(Box::pin(over)), last: trailers })
    }
}

fn trailers(status: Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = http::HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}

impl http_body::Body for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(over) = &mut self.over else { return Poll::Ready(None) };
        if let Poll::Ready(why) = over.as_mut().poll(context) {
            self.over = None;
            self.body = Body::empty();
            return Poll::Ready(Some((self.last)(why)));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.over.is_none() || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
