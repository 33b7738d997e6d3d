//! Which endpoint of a Service a request goes to, and whether one more request is let through at all.
//!
//! A [`Balancer`] is one worker's view of all Services. A request takes its [`Service`] from it, a [`Permit`] for itself,
//! and for each attempt a [`Pick`], which counts as under way until it is dropped and tells how the attempt ended. What
//! must hold for the whole process (limits, ejections, health) is in [`traffic::BackendState`], which says how it is
//! shared.
//!
//! Nothing here hides a failure or leads to another version: endpoints are chosen within one Service.

mod choose;
mod draw;
pub(crate) mod health;
mod key;
mod load;
mod permit;
mod pick;
mod service;

pub(crate) use key::key_of;
pub(crate) use permit::Permit;
pub(crate) use pick::{Pick, Seen};
pub(crate) use service::{Service, Unavailable};

use choose::mix;
use foldhash::HashMap;
use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use traffic::{Backend, BackendState, Generation, RouteTable};

/// One worker's Services. It never leaves its thread.
#[derive(Debug)]
pub(crate) struct Balancer {
    worker: usize,
    workers: usize,
    random: Rc<Random>,
    /// By the address of the state, which the Service keeps from being freed and used again.
    services: RefCell<HashMap<*const BackendState, Rc<Service>>>,
}

impl Balancer {
    /// The Services of worker `worker` of `workers`. `seed` is to be another one for each worker.
    pub(crate) fn new(worker: usize, workers: usize, seed: u64) -> Self {
        Self {
            worker,
            workers,
            random: Rc::new(Random(Cell::new(seed))),
            services: RefCell::default(),
        }
    }

    /// The Service of `backend`, as the table of `generation` has it. A table older than one that was seen already
    /// changes nothing, so that a request that began before a change does not bring removed endpoints back.
    pub(crate) fn service(
        &self,
        backend: &Backend,
        generation: Generation,
        now: Duration,
    ) -> Rc<Service> {
        let mut services = self.services.borrow_mut();
        let new = || {
            let shard = backend.state.shard(self.worker, self.workers);
            Rc::new(Service::new(backend, shard, Rc::clone(&self.random)))
        };
        let service = services
            .entry(Arc::as_ptr(&backend.state))
            .or_insert_with(new);
        service.take_up(backend, generation, now);
        service.use_it();
        Rc::clone(service)
    }

    /// The Services where requests wait for a connection, on any worker. Asks all Services for what all workers share.
    pub(crate) fn waited_for(&self) -> Vec<Rc<Service>> {
        let services = self.services.borrow();
        let waited_for = services.values().filter(|service| service.is_waited_for());
        waited_for.map(Rc::clone).collect()
    }

    /// Whether requests still go to `address` as an endpoint of the Service of `state`.
    #[cfg(test)]
    fn is_current(&self, state: &Arc<BackendState>, address: std::net::SocketAddr) -> bool {
        let services = self.services.borrow();
        let service = services.get(&Arc::as_ptr(state));
        service.is_some_and(|service| service.has(address))
    }

    /// Takes up `table`, of `generation`, for Services that have no requests to tell them of it; forgets those that it
    /// does not have, as soon as nothing is under way there; gives back permits that lie idle where no request came
    /// since the last call. To be called every few seconds.
    pub(crate) fn sweep(&self, table: &RouteTable, generation: Generation, now: Duration) {
        let mut services = self.services.borrow_mut();
        let mut wanted = HashSet::new();
        for backend in table.backends() {
            let key = Arc::as_ptr(&backend.state);
            if let Some(service) = services.get(&key)
                && wanted.insert(key)
            {
                service.take_up(backend, generation, now);
            }
        }
        services.retain(|key, service| {
            service.rest();
            if wanted.contains(key) {
                return true;
            }
            service.retire(generation);
            Rc::strong_count(service) > 1
        });
    }
}

/// Random numbers (SplitMix64) for what need not be secret.
#[derive(Debug)]
struct Random(Cell<u64>);

impl Random {
    fn next(&self) -> u64 {
        let state = self.0.get();
        self.0.set(state.wrapping_add(0x9E37_79B9_7F4A_7C15));
        mix(state)
    }
}

#[cfg(test)]
mod tests;
