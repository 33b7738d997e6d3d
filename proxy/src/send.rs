//! Sending a request to an endpoint of its version.

use crate::{
    answer::Refusal,
    body::RequestBody,
    client::Client,
    lane::Lane,
    request::Fault,
    upstream::{SendError, Upstream},
    watch::Phase,
};
use http::{Request, Response};
use hyper::body::Incoming;
use std::net::SocketAddr;
use traffic::Failure;

/// How many endpoints of its version a request is tried on when connections cannot be made. The version has failed
/// when all of them did; that a later one took it is not counted against the version.
const ENDPOINTS_TRIED: usize = 3;

/// Why a request that was sent has no answer to pass on.
pub(crate) enum NoAnswer {
    /// The version failed.
    Version(Failure),
    /// The client did not send its request to the end.
    Client(Refusal),
}

/// The response head, and the connection that its body will come on. A connection from the pool may have been closed
/// just now; a request that was not written to it is sent again on a fresh one.
pub(crate) async fn send(
    client: &Client,
    lane: &Lane,
    endpoints: &[SocketAddr],
    request: Request<RequestBody>,
) -> Result<(Box<Upstream>, Response<Incoming>), NoAnswer> {
    let mut upstream = connection(client, lane, endpoints, true).await?;
    let mut response = upstream.send(request, client).await;
    if let Err(SendError::Unsent(request)) = response {
        upstream = connection(client, lane, endpoints, false).await?;
        response = upstream.send(*request, client).await;
    }
    match response {
        Ok(response) => Ok((upstream, response)),
        Err(SendError::Failed(failure)) => Err(NoAnswer::Version(failure)),
        Err(SendError::Unsent(_)) => Err(NoAnswer::Version(Failure::Reset)),
        Err(SendError::Body) => Err(NoAnswer::Client(Refusal::BadRequest(Fault::Body))),
        Err(SendError::Stalled) => Err(NoAnswer::Client(Refusal::Stalled)),
    }
}

/// A connection to the endpoint whose turn it is, or to one of the next when it cannot be reached.
async fn connection(
    client: &Client,
    lane: &Lane,
    endpoints: &[SocketAddr],
    may_reuse: bool,
) -> Result<Box<Upstream>, NoAnswer> {
    let worker = &client.worker;
    let mut failure = Failure::NoEndpoint;
    for address in lane.turn(endpoints).take(ENDPOINTS_TRIED) {
        let pooled = may_reuse.then(|| worker.pool.take(address)).flatten();
        let connected = match pooled {
            Some(upstream) => Ok(upstream),
            None => {
                client.watch.enter(Phase::Connect);
                Upstream::connect(address, worker.timeouts.connect, &worker.http_client).await
            }
        };
        match connected {
            Ok(upstream) => {
                let is_uploading = client.upload.is_open();
                client.watch.enter(if is_uploading {
                    Phase::Upload
                } else {
                    Phase::Answer
                });
                return Ok(upstream);
            }
            Err(reason) => failure = reason,
        }
    }
    Err(NoAnswer::Version(failure))
}
