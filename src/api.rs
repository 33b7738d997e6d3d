//! What the admin API speaks.

pub(crate) use controller::view::*;
