//! Long-lived exchanges whose version has lost its weight, and that are not to go on for ever.

use crate::{client::Ask, watch::Watch, worker::Worker};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt,
    rc::Rc,
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};
use traffic::{Backend, BackendId, RouteTable, policy::StreamDrain};

/// The exchanges of one worker that are closed some time after their version has lost its weight.
#[derive(Debug, Default)]
pub(crate) struct Drains {
    next: Cell<u64>,
    exchanges: RefCell<HashMap<u64, Exchange>>,
}

#[derive(Debug)]
struct Exchange {
    backend: BackendId,
    after: Duration,
    watch: Rc<Watch>,
    told: Rc<Notify>,
    is_told: bool,
}

impl Drains {
    /// Looks whose versions have no weight in `table`, and gives their exchanges the time that is theirs. How many were
    /// told.
    pub(crate) fn look(&self, table: &RouteTable) -> usize {
        let mut told = 0;
        for exchange in self.exchanges.borrow_mut().values_mut() {
            if exchange.is_told || table.gives_traffic_to(&exchange.backend) {
                continue;
            }
            exchange.is_told = true;
            exchange.watch.end_by(Instant::now() + exchange.after);
            exchange.told.notify_one();
            told += 1;
        }
        told
    }
}

/// An exchange that is closed some time after its version has lost its weight.
pub(crate) struct Draining {
    worker: Rc<Worker>,
    number: u64,
    /// Told when its time has been set.
    pub(crate) told: Rc<Notify>,
}

impl fmt::Debug for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        self.worker
            .drains
            .exchanges
            .borrow_mut()
            .remove(&self.number);
    }
}

/// Enters the exchange of `ask` with `backend`, where its policy does not let it go on for ever.
pub(crate) fn enter(ask: &Ask, backend: &Backend) -> Option<Draining> {
    let StreamDrain::CloseAfter(after) = backend.policy.stream_drain else {
        return None;
    };
    let worker = Rc::clone(&ask.client.worker);
    let number = worker.drains.next.get();
    worker.drains.next.set(number + 1);
    let told = Rc::<Notify>::default();
    // The weight may have been lost while the answer was waited for.
    let is_told = !worker.view().table().gives_traffic_to(&backend.id);
    if is_told {
        ask.watch.end_by(Instant::now() + after);
        told.notify_one();
    }
    worker.drains.exchanges.borrow_mut().insert(
        number,
        Exchange {
            backend: backend.id.clone(),
            after,
            watch: Rc::clone(&ask.watch),
            told: Rc::clone(&told),
            is_told,
        },
    );
    Some(Draining {
        worker,
        number,
        told,
    })
}
