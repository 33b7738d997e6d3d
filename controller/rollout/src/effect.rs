//! What the world is to be like.

use traffic::Weight;

use crate::plan::{HeaderRoute, MirrorRoute};
use crate::state::{Stable, State};

/// What the world is to be like in a state. These are wanted values and not changes, all of them every time, and
/// they belong together: whoever applies them applies them as one (a promotion moves stable and takes the canary's
/// weight in the same table).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects {
    /// The revision that is stable, and the slot that it is in. Nothing while no revision was seen.
    pub stable: Option<Stable>,
    /// The canary's weight; stable gets the rest.
    pub weight: Weight,
    /// The routes that send requests to the canary before the weight is asked.
    pub header_routes: Vec<HeaderRoute>,
    /// The routes by which the canary gets copies of stable's requests.
    pub mirror_routes: Vec<MirrorRoute>,
}

impl Effects {
    /// What `state` asks for.
    pub(crate) fn of(state: &State) -> Self {
        let share = state
            .canary()
            .filter(|canary| canary.reachable)
            .map(|canary| &canary.share);
        Self {
            stable: state.stable().cloned(),
            weight: share.map_or(Weight::ZERO, |share| share.weight),
            header_routes: share.map_or_else(Vec::new, |share| share.header_routes.clone()),
            mirror_routes: share.map_or_else(Vec::new, |share| share.mirror_routes.clone()),
        }
    }
}
