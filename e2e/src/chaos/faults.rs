//! A way to the API server on which a share of all requests fails.

mod watches;

use anyhow::{Result, bail};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, BodyStream, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    header::{ACCEPT, CONNECTION, CONTENT_TYPE, TRANSFER_ENCODING},
    http::request::Parts,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::{Client, client::Body};
use std::{
    net::{Ipv4Addr, SocketAddr},
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    task::AbortHandle,
    time::{Instant, sleep},
};
use watches::{Open, Watches};

/// Of so many requests, one is lost on its way, one has no answer after it took effect, and one waits.
const OF: u32 = 100;
/// For how long a request waits that does, in milliseconds: up to longer than a leader may be silent.
const WAIT: Range<u64> = 100..4_000;
/// For how long a watch lasts, in milliseconds.
const WATCH: Range<u64> = 200..8_000;

/// Listens until it is dropped.
pub(super) struct Faults {
    /// Where, by HTTP.
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

/// What all connections share.
struct Shared {
    client: Client,
    random: Mutex<fastrand::Rng>,
    counts: Arc<Counts>,
    watches: Watches,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU32,
    lost: AtomicU32,
    unanswered: AtomicU32,
    late: AtomicU32,
    cut: AtomicU32,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It does not arrive.
    Lost,
    /// It takes effect, but nobody is told.
    Unanswered,
    /// It takes effect and is answered, late.
    Late(Duration),
    /// It is answered.
    Answered,
    /// It is a watch, and breaks off after a while.
    Cut(Duration),
}

impl Shared {
    fn fate(&self, is_watch: bool) -> Fate {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        if is_watch {
            return Fate::Cut(Duration::from_millis(random.u64(WATCH)));
        }
        match random.u32(..OF) {
            0 => Fate::Lost,
            1 => Fate::Unanswered,
            2 => Fate::Late(Duration::from_millis(random.u64(WAIT))),
            _ => Fate::Answered,
        }
    }

    fn count(&self, fate: Fate) {
        let counts = &self.counts;
        counts.requests.fetch_add(1, Relaxed);
        let counter = match fate {
            Fate::Lost => &counts.lost,
            Fate::Unanswered => &counts.unanswered,
            Fate::Late(_) => &counts.late,
            Fate::Cut(_) => &counts.cut,
            Fate::Answered => return,
        };
        counter.fetch_add(1, Relaxed);
    }
}

impl Faults {
    /// Passes requests on as who `client` is.
    pub(super) async fn serve(client: Client, seed: u64) -> Result<Self> {
        Self::counting(client, seed, Arc::default()).await
    }

    /// Another way, as who `client` is; it is told of together with this one.
    pub(super) async fn beside(&self, client: Client, seed: u64) -> Result<Self> {
        Self::counting(client, seed, Arc::clone(&self.shared.counts)).await
    }

    async fn counting(client: Client, seed: u64, counts: Arc<Counts>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            client,
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            counts,
            watches: Watches::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            accepting: accepting.abort_handle(),
        })
    }

    /// Since when there has been a watch of each of `resources` without a break, if there is.
    pub(super) fn watched_since(&self, resources: &[&str]) -> Option<Instant> {
        self.shared.watches.since(resources)
    }

    /// In words, what has failed.
    pub(super) fn told(&self) -> String {
        let counts = &self.shared.counts;
        format!(
            "of {} requests {} lost, {} without an answer after they took effect, {} late; {} watches cut",
            counts.requests.load(Relaxed),
            counts.lost.load(Relaxed),
            counts.unanswered.load(Relaxed),
            counts.late.load(Relaxed),
            counts.cut.load(Relaxed)
        )
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| answer(Arc::clone(&shared), request));
        // An error of the service closes the connection without an answer, which is what is wanted.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, anyhow::Error>>;

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer> {
    let query = request.uri().query().unwrap_or_default();
    let fate = shared.fate(query.split('&').any(|pair| pair == "watch=true"));
    shared.count(fate);
    if fate == Fate::Lost {
        bail!("lost");
    }
    let (head, body) = request.into_parts();
    let passed = pass(&shared.client, &head, body.collect().await?.to_bytes()).await?;
    match fate {
        Fate::Unanswered => bail!("without an answer"),
        Fate::Late(wait) => sleep(wait).await,
        Fate::Cut(life) => {
            let open = passed.status().is_success().then(|| {
                let resource = head.uri.path().rsplit('/').next().unwrap_or_default();
                shared.watches.open(resource)
            });
            return Ok(cut(passed, life, open));
        }
        Fate::Lost | Fate::Answered => {}
    }
    Ok(passed)
}

/// Sends a request on, with the headers that the API server looks at.
async fn pass(client: &Client, head: &Parts, body: Bytes) -> Result<Answer> {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(&head.method).uri(path);
    for name in [ACCEPT, CONTENT_TYPE] {
        if let Some(value) = head.headers.get(&name) {
            request = request.header(name, value);
        }
    }
    let answer = client
        .send(request.body(Body::from(body.to_vec()))?)
        .await?;
    let (mut head, body) = answer.into_parts();
    // This connection frames it anew.
    head.headers.remove(TRANSFER_ENCODING);
    head.headers.remove(CONNECTION);
    let body = body.map_err(anyhow::Error::from);
    Ok(Response::from_parts(head, UnsyncBoxBody::new(body)))
}

/// The answer to a watch, which breaks off after `life`, and is `open` until then.
fn cut(answer: Answer, life: Duration, open: Option<Open>) -> Answer {
    answer.map(|body| {
        let frames = BodyStream::new(body).take_until(Box::pin(sleep(life)));
        let frames = frames.inspect(move |_| {
            let _ = &open;
        });
        let end = stream::iter([Err::<Frame<Bytes>, _>(anyhow::anyhow!("cut"))]);
        UnsyncBoxBody::new(StreamBody::new(frames.chain(end)))
    })
}
