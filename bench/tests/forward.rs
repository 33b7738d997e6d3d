//! Gate: what a forwarded keep-alive request allocates.

#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it; clippy knows only #[test] functions as tests"
)]

use bench::{
    client::Client,
    origin,
    sluice::{HOST, Shop},
};
use http::HeaderName;
use stats_alloc::{Region, StatsAlloc};
use std::{
    alloc::System,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};
use tokio::net::TcpListener;
use traffic::{Sticky, StickyKey};

#[global_allocator]
static ALLOCATOR: StatsAlloc<System> = StatsAlloc::system();

const WARM_UP: usize = 500;
const COUNTED: usize = 2_000;
/// What may come on top over all counted requests, of timers and the like that do not belong to a request.
const SLACK: usize = COUNTED / 100;

/// What is sent, and how often it may allocate.
struct Case {
    name: &'static str,
    headers: &'static str,
    body_bytes: usize,
    sticky: Option<StickyKey>,
    /// Allocations for one request. It is what was measured and may only be lowered.
    ceiling: usize,
}

fn cases() -> [Case; 4] {
    let case = |name, ceiling| Case {
        name,
        headers: "",
        body_bytes: 64,
        sticky: None,
        ceiling,
    };
    [
        case("a body", 0),
        Case {
            body_bytes: 0,
            ..case("no body", 0)
        },
        Case {
            headers: "x-user: user-4711\r\n",
            sticky: Some(StickyKey::Header(HeaderName::from_static("x-user"))),
            ..case("sticky by header", 0)
        },
        Case {
            headers: "x-forwarded-for: 192.0.2.7\r\n",
            ..case("behind another proxy", 5)
        },
    ]
}

// The only test of this program, as the count is of all threads: client, origin and proxy.
#[tokio::test]
async fn a_forwarded_request_allocates_no_more_than_it_did() {
    let mut faults = Vec::new();
    for case in cases() {
        let origin = run_origin(case.body_bytes).await;
        let own = allocations(origin, &case).await;
        assert!(
            own <= SLACK,
            "{}: client and origin allocate {own} times",
            case.name
        );
        let sticky = case.sticky.clone().map(|key| Sticky {
            keys: vec![key],
            salt: 1,
        });
        let shop = Shop {
            sticky,
            ..Shop::new(origin, origin)
        };
        let sluice = shop.start().unwrap();
        let total = allocations(sluice.address().unwrap(), &case).await;
        let (name, ceiling) = (case.name, case.ceiling);
        let each = total as f64 / COUNTED as f64;
        if total > ceiling * COUNTED + SLACK {
            faults.push(format!(
                "{name}: {each} allocations per request, {ceiling} are allowed"
            ));
        } else if total + COUNTED / 2 < ceiling * COUNTED {
            faults.push(format!(
                "{name}: {each} allocations per request, lower the ceiling of {ceiling}"
            ));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

async fn run_origin(body_bytes: usize) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(origin::serve(listener, body_bytes, Arc::default()));
    address
}

/// Allocations over [`COUNTED`] requests to `address`, on one connection.
async fn allocations(address: SocketAddr, case: &Case) -> usize {
    let headers = case.headers;
    let request = format!("GET /cart HTTP/1.1\r\nhost: {HOST}\r\naccept: */*\r\n{headers}\r\n");
    let mut client = Client::connect(address, &request).await.unwrap();
    for _ in 0..WARM_UP {
        client.exchange().await.unwrap();
    }
    let region = Region::new(&ALLOCATOR);
    for _ in 0..COUNTED {
        client.exchange().await.unwrap();
    }
    let change = region.change();
    change.allocations + change.reallocations
}
