//! Where a pod may run.

use super::meta::LABEL_SELECTOR;
use crate::hash::field::Kind::{Int32, List, Struct, Text};
use crate::hash::field::{Fields, always, nonzero, optional};

pub(super) static AFFINITY: Fields = &[
    optional("nodeAffinity", Struct(&NODE_AFFINITY)),
    optional("podAffinity", Struct(&POD_AFFINITY)),
    optional("podAntiAffinity", Struct(&POD_ANTI_AFFINITY)),
];

pub(super) static POD_ANTI_AFFINITY: Fields = &[
    nonzero(
        "requiredDuringSchedulingIgnoredDuringExecution",
        List(&Struct(&POD_AFFINITY_TERM)),
    ),
    nonzero(
        "preferredDuringSchedulingIgnoredDuringExecution",
        List(&Struct(&WEIGHTED_POD_AFFINITY_TERM)),
    ),
];

pub(super) static POD_AFFINITY: Fields = &[
    nonzero(
        "requiredDuringSchedulingIgnoredDuringExecution",
        List(&Struct(&POD_AFFINITY_TERM)),
    ),
    nonzero(
        "preferredDuringSchedulingIgnoredDuringExecution",
        List(&Struct(&WEIGHTED_POD_AFFINITY_TERM)),
    ),
];

pub(super) static WEIGHTED_POD_AFFINITY_TERM: Fields = &[
    always("weight", Int32),
    always("podAffinityTerm", Struct(&POD_AFFINITY_TERM)),
];

pub(super) static POD_AFFINITY_TERM: Fields = &[
    optional("labelSelector", Struct(&LABEL_SELECTOR)),
    nonzero("namespaces", List(&Text)),
    always("topologyKey", Text),
    optional("namespaceSelector", Struct(&LABEL_SELECTOR)),
    nonzero("matchLabelKeys", List(&Text)),
    nonzero("mismatchLabelKeys", List(&Text)),
];

pub(super) static NODE_AFFINITY: Fields = &[
    optional(
        "requiredDuringSchedulingIgnoredDuringExecution",
        Struct(&NODE_SELECTOR),
    ),
    nonzero(
        "preferredDuringSchedulingIgnoredDuringExecution",
        List(&Struct(&PREFERRED_SCHEDULING_TERM)),
    ),
];

pub(super) static PREFERRED_SCHEDULING_TERM: Fields = &[
    always("weight", Int32),
    always("preference", Struct(&NODE_SELECTOR_TERM)),
];

pub(super) static NODE_SELECTOR: Fields = &[always(
    "nodeSelectorTerms",
    List(&Struct(&NODE_SELECTOR_TERM)),
)];

pub(super) static NODE_SELECTOR_TERM: Fields = &[
    nonzero(
        "matchExpressions",
        List(&Struct(&NODE_SELECTOR_REQUIREMENT)),
    ),
    nonzero("matchFields", List(&Struct(&NODE_SELECTOR_REQUIREMENT))),
];

pub(super) static NODE_SELECTOR_REQUIREMENT: Fields = &[
    always("key", Text),
    always("operator", Text),
    nonzero("values", List(&Text)),
];
