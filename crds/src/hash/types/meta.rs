//! Metadata, and the selection of objects by their labels.

use crate::hash::field::Kind::{Bool, Int64, List, Map, Raw, Struct, Text, Time};
use crate::hash::field::{Fields, always, nonzero, optional};

pub(super) static LABEL_SELECTOR: Fields = &[
    nonzero("matchLabels", Map(&Text)),
    nonzero(
        "matchExpressions",
        List(&Struct(&LABEL_SELECTOR_REQUIREMENT)),
    ),
];

pub(super) static LABEL_SELECTOR_REQUIREMENT: Fields = &[
    always("key", Text),
    always("operator", Text),
    nonzero("values", List(&Text)),
];

pub(super) static OBJECT_META: Fields = &[
    nonzero("name", Text),
    nonzero("generateName", Text),
    nonzero("namespace", Text),
    nonzero("selfLink", Text),
    nonzero("uid", Text),
    nonzero("resourceVersion", Text),
    nonzero("generation", Int64),
    nonzero("creationTimestamp", Time),
    optional("deletionTimestamp", Time),
    optional("deletionGracePeriodSeconds", Int64),
    nonzero("labels", Map(&Text)),
    nonzero("annotations", Map(&Text)),
    nonzero("ownerReferences", List(&Struct(&OWNER_REFERENCE))),
    nonzero("finalizers", List(&Text)),
    nonzero("managedFields", List(&Struct(&MANAGED_FIELDS_ENTRY))),
];

pub(super) static MANAGED_FIELDS_ENTRY: Fields = &[
    nonzero("manager", Text),
    nonzero("operation", Text),
    nonzero("apiVersion", Text),
    optional("time", Time),
    nonzero("fieldsType", Text),
    optional("fieldsV1", Raw),
    nonzero("subresource", Text),
];

pub(super) static OWNER_REFERENCE: Fields = &[
    always("apiVersion", Text),
    always("kind", Text),
    always("name", Text),
    always("uid", Text),
    optional("controller", Bool),
    optional("blockOwnerDeletion", Bool),
];
