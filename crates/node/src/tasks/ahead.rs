//! Requests to a command on another node, few ahead of what it has carried out.
//!
//! HTTP/2 cancels a call whose caller goes away only when what was sent before has left: not while
//! the other end takes nothing, as a command does that does not read its input. So the stream never
//! gets full: this counts what the node has not carried out, and waits before there is room for no
//! more.

use swarm_proto::v1;
use tokio::sync::{mpsc, watch};
use v1::exec_request::Part;

/// Bytes of input in a request.
const PIECE: usize = 4 << 10;
/// Requests that may be ahead. All of them fit into the smallest window on the way, of 64 KiB.
const MOST: u64 = 12;

/// The way to the command.
pub(super) struct Ahead {
    to: mpsc::Sender<v1::ExecRequest>,
    sent: u64,
    done: watch::Receiver<u64>,
}

impl Ahead {
    /// The other end is told how many requests were carried out so far.
    pub(super) fn new(to: mpsc::Sender<v1::ExecRequest>) -> (Self, watch::Sender<u64>) {
        let (told, done) = watch::channel(0);
        (Self { to, sent: 0, done }, told)
    }

    /// Sends it, when there is room. When nobody takes it any more, whoever owns this is told
    /// elsewhere.
    pub(super) async fn send(&mut self, request: v1::ExecRequest) {
        for piece in pieces(request) {
            let sent = self.sent;
            let _ = self.done.wait_for(|done| sent < done.saturating_add(MOST)).await;
            self.sent += 1;
            let _ = self.to.send(piece).await;
        }
    }
}

/// The same, in requests of bounded size.
fn pieces(request: v1::ExecRequest) -> Vec<v1::ExecRequest> {
    match request.part {
        Some(Part::Input(bytes)) if bytes.len() > PIECE => bytes
            .chunks(PIECE)
            .map(|piece| v1::ExecRequest { part: Some(Part::Input(piece.to_vec())) })
            .collect(),
        _ => vec![request],
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn input(bytes: usize) -> v1::ExecRequest {
        let bytes = (0..bytes).map(|at| at.to_le_bytes()[0]).collect();
        v1::ExecRequest { part: Some(Part::Input(bytes)) }
    }

    /// What arrives until nothing more does.
    async fn arrived(from: &mut mpsc::Receiver<v1::ExecRequest>) -> Vec<v1::ExecRequest> {
        let mut arrived = Vec::new();
        while let Ok(Some(request)) = timeout(Duration::from_secs(1), from.recv()).await {
            arrived.push(request);
        }
        arrived
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ahead_fits_into_a_window_and_nothing_is_lost() {
        let (to, mut from) = mpsc::channel(1);
        let (mut ahead, done) = Ahead::new(to);
        let whole = input(100_000);
        let asked = whole.clone();
        let sending = tokio::spawn(async move { ahead.send(asked).await });

        let mut all = arrived(&mut from).await;
        assert_eq!(all.len() as u64, MOST);
        let frames = 32;
        let size = |request: &v1::ExecRequest| match &request.part {
            Some(Part::Input(bytes)) => bytes.len() + frames,
            other => panic!("{other:?}"),
        };
        assert!(all.iter().map(size).sum::<usize>() < 65_535);

        // As many more as were carried out.
        done.send_replace(3);
        let more = arrived(&mut from).await;
        assert_eq!(more.len(), 3);
        all.extend(more);
        done.send_replace(u64::MAX);
        all.extend(arrived(&mut from).await);

        sending.await.unwrap();
        let bytes = all.into_iter().flat_map(|request| match request.part {
            Some(Part::Input(bytes)) => bytes,
            other => panic!("{other:?}"),
        });
        assert_eq!(v1::ExecRequest { part: Some(Part::Input(bytes.collect())) }, whole);
    }

    #[tokio::test]
    async fn whoever_takes_nothing_any_more_holds_nobody() {
        let (to, from) = mpsc::channel(1);
        let (mut ahead, done) = Ahead::new(to);
        drop((from, done));

        for _ in 0..2 * MOST {
            ahead.send(input(1)).await;
        }
    }
}
