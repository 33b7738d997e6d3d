//! How far the body of a client's current request has come.

use std::cell::Cell;

/// The state of the upload of a client's connection, which carries one request after the other.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    /// Numbers the requests, as the body of an earlier one may be dropped during a later one.
    exchange: Cell<u32>,
    is_open: Cell<bool>,
    waits_for_client: Cell<bool>,
    is_unread: Cell<bool>,
}

impl Upload {
    /// A request began, whose body is not empty if `has_body`. Gives its number.
    pub(crate) fn begin(&self, has_body: bool) -> u32 {
        let exchange = self.exchange.get().wrapping_add(1);
        self.exchange.set(exchange);
        self.is_open.set(has_body);
        self.waits_for_client.set(false);
        exchange
    }

    /// Nobody reads the body of request `exchange` any more. Whether that is the current request.
    pub(crate) fn end(&self, exchange: u32) -> bool {
        let is_current = self.exchange.get() == exchange;
        if is_current {
            self.is_open.set(false);
        }
        is_current
    }

    /// Whether the body is still being sent to the endpoint.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.get()
    }

    /// Says whose turn it is: the client's to send more, or the endpoint's to take it.
    pub(crate) fn set_waits_for_client(&self, waits: bool) {
        self.waits_for_client.set(waits);
    }

    /// Whether it is the client's turn.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.waits_for_client.get()
    }

    /// A request arrived, with or without a body to read.
    pub(crate) fn arrived(&self, has_body: bool) {
        self.is_unread.set(has_body);
    }

    /// The body has come whole.
    pub(crate) fn set_complete(&self) {
        self.is_unread.set(false);
    }

    /// Whether the client may still be sending a body that nobody reads.
    pub(crate) fn is_unread(&self) -> bool {
        self.is_unread.get()
    }
}
