//! How many pods there may be, and must be, while versions change.

/// A number of pods, said as such or as a part of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many pods.
    Pods(u32),
    /// So many per cent of `spec.replicas`.
    Percent(u32),
}

impl Amount {
    /// `maxSurge` and `maxUnavailable`, where a Rollout does not say them.
    pub const DEFAULT: Self = Self::Percent(25);

    fn of(self, replicas: u32, round: impl FnOnce(u64) -> u64) -> u32 {
        match self {
            Self::Pods(pods) => pods,
            Self::Percent(percent) => {
                let hundredths = u64::from(percent) * u64::from(replicas);
                u32::try_from(round(hundredths)).unwrap_or(u32::MAX)
            }
        }
    }
}

/// How many pods a rollout has, and between which numbers they may be while versions change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    replicas: u32,
    surge: u32,
    unavailable: u32,
}

impl Budget {
    /// The budget of `spec.replicas`, `maxSurge` (rounded up) and `maxUnavailable` (rounded down). When both come to
    /// nothing no pod could ever be replaced, so one may be unavailable then.
    pub fn new(replicas: u32, surge: Amount, unavailable: Amount) -> Self {
        let surge = surge.of(replicas, |hundredths| hundredths.div_ceil(100));
        let unavailable = unavailable.of(replicas, |hundredths| hundredths / 100);
        let unavailable = if surge == 0 && unavailable == 0 {
            1
        } else {
            unavailable
        };
        Self {
            replicas,
            surge,
            unavailable: unavailable.min(replicas),
        }
    }

    /// `spec.replicas`.
    pub const fn replicas(self) -> u32 {
        self.replicas
    }

    /// Whether there may be more pods than `spec.replicas`.
    pub(super) const fn may_surge(self) -> bool {
        self.surge > 0
    }

    /// How many pods there may be.
    pub const fn most(self) -> u32 {
        self.replicas.saturating_add(self.surge)
    }

    /// How many pods must be available.
    pub const fn least(self) -> u32 {
        self.replicas - self.unavailable
    }
}
