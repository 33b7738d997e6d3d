//! Steps of a canary.

use super::meta::LABEL_SELECTOR;
use crate::hash::field::Kind::{Bool, Int32, IntOrString, List, Map, Raw, Struct, Text};
use crate::hash::field::{Fields, always, nonzero, nullable, optional};

pub(super) static CANARY_STEP: Fields = &[
    optional("setWeight", Int32),
    optional("pause", Struct(&ROLLOUT_PAUSE)),
    optional("experiment", Struct(&ROLLOUT_EXPERIMENT_STEP)),
    optional("analysis", Struct(&ROLLOUT_ANALYSIS)),
    optional("setCanaryScale", Struct(&SET_CANARY_SCALE)),
    optional("setHeaderRoute", Struct(&SET_HEADER_ROUTE)),
    optional("setMirrorRoute", Struct(&SET_MIRROR_ROUTE)),
    optional("plugin", Struct(&PLUGIN_STEP)),
];

pub(super) static PLUGIN_STEP: Fields = &[always("name", Text), nonzero("config", Raw)];

pub(super) static SET_MIRROR_ROUTE: Fields = &[
    always("name", Text),
    nonzero("match", List(&Struct(&ROUTE_MATCH))),
    optional("percentage", Int32),
];

pub(super) static ROUTE_MATCH: Fields = &[
    optional("method", Struct(&STRING_MATCH)),
    optional("path", Struct(&STRING_MATCH)),
    nonzero("headers", Map(&Struct(&STRING_MATCH))),
];

pub(super) static SET_HEADER_ROUTE: Fields = &[
    nonzero("name", Text),
    nonzero("match", List(&Struct(&HEADER_ROUTING_MATCH))),
];

pub(super) static HEADER_ROUTING_MATCH: Fields = &[
    always("headerName", Text),
    nullable("headerValue", Struct(&STRING_MATCH)),
];

pub(super) static STRING_MATCH: Fields = &[
    nonzero("exact", Text),
    nonzero("prefix", Text),
    nonzero("regex", Text),
];

pub(super) static SET_CANARY_SCALE: Fields = &[
    optional("weight", Int32),
    optional("replicas", Int32),
    nonzero("matchTrafficWeight", Bool),
];

pub(super) static ROLLOUT_ANALYSIS: Fields = &[
    nonzero("templates", List(&Struct(&ANALYSIS_TEMPLATE_REF))),
    nonzero("args", List(&Struct(&ANALYSIS_RUN_ARGUMENT))),
    nonzero("dryRun", List(&Struct(&DRY_RUN))),
    nonzero(
        "measurementRetention",
        List(&Struct(&MEASUREMENT_RETENTION)),
    ),
    optional("analysisRunMetadata", Struct(&ANALYSIS_RUN_METADATA)),
];

pub(super) static MEASUREMENT_RETENTION: Fields =
    &[always("metricName", Text), always("limit", Int32)];

pub(super) static ANALYSIS_TEMPLATE_REF: Fields =
    &[always("templateName", Text), optional("clusterScope", Bool)];

pub(super) static ROLLOUT_EXPERIMENT_STEP: Fields = &[
    always("templates", List(&Struct(&ROLLOUT_EXPERIMENT_TEMPLATE))),
    nonzero("duration", Text),
    nonzero(
        "analyses",
        List(&Struct(&ROLLOUT_EXPERIMENT_STEP_ANALYSIS_TEMPLATE_REF)),
    ),
    nonzero("dryRun", List(&Struct(&DRY_RUN))),
    always("analysisRunMetadata", Struct(&ANALYSIS_RUN_METADATA)),
    optional("scaleDownDelaySeconds", Int32),
];

pub(super) static ANALYSIS_RUN_METADATA: Fields = &[
    nonzero("labels", Map(&Text)),
    nonzero("annotations", Map(&Text)),
];

pub(super) static DRY_RUN: Fields = &[always("metricName", Text)];

pub(super) static ROLLOUT_EXPERIMENT_STEP_ANALYSIS_TEMPLATE_REF: Fields = &[
    always("name", Text),
    always("templateName", Text),
    optional("clusterScope", Bool),
    nonzero("args", List(&Struct(&ANALYSIS_RUN_ARGUMENT))),
    nonzero("requiredForCompletion", Bool),
];

pub(super) static ANALYSIS_RUN_ARGUMENT: Fields = &[
    always("name", Text),
    nonzero("value", Text),
    optional("valueFrom", Struct(&ARGUMENT_VALUE_FROM)),
];

pub(super) static ARGUMENT_VALUE_FROM: Fields = &[
    optional("podTemplateHashValue", Text),
    optional("fieldRef", Struct(&FIELD_REF)),
];

pub(super) static FIELD_REF: Fields = &[always("fieldPath", Text)];

pub(super) static ROLLOUT_EXPERIMENT_TEMPLATE: Fields = &[
    always("name", Text),
    always("specRef", Text),
    optional("replicas", Int32),
    always("metadata", Struct(&POD_TEMPLATE_METADATA)),
    optional("selector", Struct(&LABEL_SELECTOR)),
    optional("weight", Int32),
    optional("service", Struct(&TEMPLATE_SERVICE)),
];

pub(super) static TEMPLATE_SERVICE: Fields = &[nonzero("name", Text)];

pub(super) static POD_TEMPLATE_METADATA: Fields = &[
    nonzero("labels", Map(&Text)),
    nonzero("annotations", Map(&Text)),
];

pub(super) static ROLLOUT_PAUSE: Fields = &[optional("duration", IntOrString)];
