//! The stories that the demo can tell, as data.

use std::time::Duration;

use clap::ValueEnum;

use super::behaviour::Behaviour;

/// Which story.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// A good version is promoted, then a bad one is rolled back
    #[default]
    Default,
    /// A version that is 2.5 times as slow is rolled back
    Slow,
    /// A version with twice the failures of a stable that fails a little too is rolled back
    Errors2x,
    /// A version that never answers some requests is rolled back
    Hang,
    /// Too few requests to judge by: the version is held, neither promoted nor blamed
    LowTraffic,
    /// A stable that fails by itself: the version, which fails alike, is held and not blamed
    FailingStable,
}

/// A story.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// What a person types for it.
    pub(crate) name: &'static str,
    /// Requests per second.
    pub(crate) rps: f64,
    /// How the first version behaves.
    pub(crate) first: Behaviour,
    /// The canary's weights, in per cent; each is followed by an evidence step.
    pub(crate) weights: &'static [u32],
    /// How long each evidence step may take.
    pub(crate) patience: Duration,
    /// The versions that go out, one after the other.
    pub(crate) releases: &'static [Release],
    /// When the whole story must be over.
    pub(crate) deadline: Duration,
}

/// A version that goes out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    /// Its name, the tag of its image.
    pub(crate) version: &'static str,
    /// What there is to say of it: `v2, which works as v1 does`.
    pub(crate) story: &'static str,
    /// How it behaves.
    pub(crate) behaviour: Behaviour,
    /// How its rollout must end.
    pub(crate) ending: Ending,
}

/// How a rollout can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It became stable.
    Promoted,
    /// The guard took it away.
    RolledBack,
    /// It stays where it is for want of evidence, for a person to decide.
    Held,
    /// A person took it away.
    Aborted,
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled back",
            Self::Held => "held",
            Self::Aborted => "aborted",
        })
    }
}

impl Name {
    /// The story of that name.
    pub(crate) const fn scenario(self) -> Scenario {
        match self {
            Self::Default => DEFAULT,
            Self::Slow => SLOW,
            Self::Errors2x => ERRORS_2X,
            Self::Hang => HANG,
            Self::LowTraffic => LOW_TRAFFIC,
            Self::FailingStable => FAILING_STABLE,
        }
    }
}

const STEADY: Behaviour = Behaviour::STEADY;
/// Slow enough that twice as slow is more than the noise of a busy machine.
const WORKING: Behaviour = STEADY.taking(Duration::from_millis(50));

const DEFAULT: Scenario = Scenario {
    name: "default",
    rps: 400.0,
    first: STEADY,
    weights: &[5, 25, 50],
    patience: Duration::from_secs(60),
    releases: &[
        Release {
            version: "v2",
            story: "v2, which works as well as v1",
            behaviour: STEADY,
            ending: Ending::Promoted,
        },
        Release {
            version: "v3",
            story: "v3, which fails 20% of its requests",
            behaviour: STEADY.failing(0.2),
            ending: Ending::RolledBack,
        },
    ],
    deadline: Duration::from_secs(120),
};

const SLOW: Scenario = Scenario {
    name: "slow",
    first: WORKING,
    releases: &[Release {
        version: "v2",
        story: "v2, which is 2.5 times as slow as v1",
        behaviour: WORKING.taking(Duration::from_millis(125)),
        ending: Ending::RolledBack,
    }],
    ..DEFAULT
};

const ERRORS_2X: Scenario = Scenario {
    name: "errors2x",
    rps: 800.0,
    first: STEADY.failing(0.02),
    releases: &[Release {
        version: "v2",
        story: "v2, which fails 4% of its requests where v1 fails 2%",
        behaviour: STEADY.failing(0.04),
        ending: Ending::RolledBack,
    }],
    ..DEFAULT
};

const HANG: Scenario = Scenario {
    name: "hang",
    releases: &[Release {
        version: "v2",
        story: "v2, which never answers 30% of its requests",
        behaviour: STEADY.hanging(0.3),
        ending: Ending::RolledBack,
    }],
    ..DEFAULT
};

const LOW_TRAFFIC: Scenario = Scenario {
    name: "low-traffic",
    rps: 2.0,
    patience: Duration::from_secs(20),
    releases: &[Release {
        version: "v2",
        story: "v2, which works as well as v1, but hardly anybody is there to tell",
        behaviour: STEADY,
        ending: Ending::Held,
    }],
    ..DEFAULT
};

const FAILING_STABLE: Scenario = Scenario {
    name: "failing-stable",
    first: STEADY.failing(0.2),
    patience: Duration::from_secs(20),
    releases: &[Release {
        version: "v2",
        story: "v2, which fails 20% of its requests, as v1 does already",
        behaviour: STEADY.failing(0.2),
        ending: Ending::Held,
    }],
    ..DEFAULT
};
