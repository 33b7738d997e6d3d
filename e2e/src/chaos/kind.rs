//! What kinds of Rollouts there are. Their names begin with it.

/// A kind of Rollouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A canary by numbers of pods, which nobody asks anything.
    Canary,
    /// A canary whose requests proxies split, and with users.
    Routed,
    /// Blue-green, with a Service and without users.
    BlueGreen,
}

impl Kind {
    /// That of the Rollout `index`: of four, two are canaries by pods.
    pub(super) const fn at(index: usize) -> Self {
        match index % 4 {
            2 => Self::Routed,
            3 => Self::BlueGreen,
            _ => Self::Canary,
        }
    }

    /// That of the Rollout `name`.
    pub(super) fn of(name: &str) -> Self {
        let all = [Self::Routed, Self::BlueGreen];
        let found = all.into_iter().find(|kind| name.starts_with(kind.word()));
        found.unwrap_or(Self::Canary)
    }

    /// What names begin with.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Routed => "routed",
            Self::BlueGreen => "blue-green",
        }
    }

    /// How many pods a version has. Those that users ask are processes, and so are few.
    pub(super) const fn replicas(self) -> i32 {
        match self {
            Self::Canary | Self::BlueGreen => 4,
            Self::Routed => 2,
        }
    }

    /// How many pods a Rollout may want at a time. One of blue-green has two versions, and while an aborted one's delay passes,
    /// the next one.
    pub(super) const fn most_pods(self) -> i32 {
        match self {
            Self::Canary => self.replicas() + 1,
            Self::Routed => 2 * self.replicas(),
            Self::BlueGreen => 3 * self.replicas(),
        }
    }

    /// Whether one version at least is to have all its pods at every moment, and not just all versions together.
    pub(super) const fn keeps_one_whole(self) -> bool {
        matches!(self, Self::Routed | Self::BlueGreen)
    }
}
