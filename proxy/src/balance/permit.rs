//! Leave to do one thing more at a Service.

use super::Service;
use std::rc::Rc;
use traffic::state::backend::Limit;

/// Counts against a limit of a Service until it is dropped.
#[derive(Debug)]
#[must_use = "what is not held is not counted"]
pub(crate) struct Permit {
    service: Rc<Service>,
    limit: Limit,
}

impl Permit {
    /// A permit to do one thing more of what `limit` limits at `service`; the limit itself when it is reached, which is
    /// counted.
    pub(super) fn of(service: &Rc<Service>, limit: Limit) -> Result<Self, Limit> {
        if !service.shard.acquire(limit, &service.limits()) {
            return Err(limit);
        }
        Ok(Self {
            service: Rc::clone(service),
            limit,
        })
    }
}

impl Permit {
    /// Whether it is one of `service`.
    pub(crate) fn is_of(&self, service: &Rc<Service>) -> bool {
        Rc::ptr_eq(&self.service, service)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let limits = self.service.limits();
        self.service.shard.release(self.limit, &limits);
    }
}
