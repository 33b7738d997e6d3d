//! The Services whose pods the proxies send requests to.

use crds::status::{CanaryStatus, RolloutStatus};
use crds::strategy::PingPong;

use super::{at, named};

/// The Services whose pods the proxies send requests to.
#[derive(Clone, Copy, Debug)]
pub(in crate::reconcile) enum Services<'w> {
    /// `stableService` and `canaryService`: each is always the same side's.
    Fixed(Pair<'w>),
    /// `pingPong`: the canary's becomes stable's with it, and the status says which is whose.
    Turns { ping: &'w str, pong: &'w str },
}

/// The Services of the two sides.
#[derive(Clone, Copy, Debug)]
pub(in crate::reconcile) struct Pair<'w> {
    pub(in crate::reconcile) stable: &'w str,
    pub(in crate::reconcile) canary: &'w str,
}

impl<'w> Services<'w> {
    /// Those of `canary`, whose traffic is split.
    ///
    /// # Errors
    /// One is missing, or is named twice.
    pub(super) fn read(canary: &'w crds::Canary) -> Result<Self, String> {
        if let Some(slots) = &canary.ping_pong {
            return turns(canary, slots);
        }
        let service = |field, written: &'w Option<String>| {
            let missing = || format!("{}: required with trafficRouting", at(field));
            named(written.as_deref()).ok_or_else(missing)
        };
        Ok(Self::Fixed(Pair {
            stable: service("stableService", &canary.stable_service)?,
            canary: service("canaryService", &canary.canary_service)?,
        }))
    }

    /// Those of the two sides by `status`.
    pub(in crate::reconcile) fn by(self, status: &RolloutStatus) -> Pair<'w> {
        let is_ping = || {
            let known = status.canary.as_ref();
            known.is_some_and(CanaryStatus::is_stable_ping)
        };
        match self {
            Self::Fixed(pair) => pair,
            Self::Turns { ping, pong } if is_ping() => Pair {
                stable: ping,
                canary: pong,
            },
            Self::Turns { ping, pong } => Pair {
                stable: pong,
                canary: ping,
            },
        }
    }

    /// Whether the canary's becomes stable's with it.
    pub(in crate::reconcile) fn take_turns(self) -> bool {
        matches!(self, Self::Turns { .. })
    }
}

/// Argo Rollouts takes `stableService` and `canaryService` beside `pingPong`, too: they lead to one side for ever.
fn turns<'w>(canary: &'w crds::Canary, slots: &'w PingPong) -> Result<Services<'w>, String> {
    let slot = |field, written: &'w str| {
        named(Some(written)).ok_or_else(|| format!("{}: required", at(field)))
    };
    let ping = slot("pingPong.pingService", &slots.ping_service)?;
    let pong = slot("pingPong.pongService", &slots.pong_service)?;
    if ping == pong {
        return Err(format!(
            "{}: found the Service of pingService, allowed another one",
            at("pingPong.pongService")
        ));
    }
    let lasting = [
        ("stableService", canary.stable_service.as_deref()),
        ("canaryService", canary.canary_service.as_deref()),
    ];
    let mut lasting = lasting.into_iter();
    match lasting.find(|(_, service)| *service == Some(ping) || *service == Some(pong)) {
        None => Ok(Services::Turns { ping, pong }),
        Some((field, _)) => Err(format!(
            "{}: found a Service of pingPong, which is each side's in turn; allowed another one, or none",
            at(field)
        )),
    }
}
