//! Labels and annotations by which objects say what they are to a Rollout. They are Argo Rollouts'
//! (`pkg/apis/rollouts/v1alpha1/types.go`, `utils/annotations`), as objects bear them already.

/// Label of ReplicaSets and pods, and key of Services' selectors: the hash of the pod template.
pub(crate) const POD_HASH: &str = "rollouts-pod-template-hash";
/// Annotation of a Rollout and its ReplicaSets: which revision it is.
pub(crate) const REVISION: &str = "rollout.argoproj.io/revision";
/// Annotation of a ReplicaSet: the revisions that it was before.
pub(super) const REVISION_HISTORY: &str = "rollout.argoproj.io/revision-history";
/// Annotation of a ReplicaSet: the `spec.replicas` of the Rollout that it was last scaled for.
pub(super) const DESIRED_REPLICAS: &str = "rollout.argoproj.io/desired-replicas";
/// Annotation of a ReplicaSet: when it is to be scaled down.
pub(super) const SCALE_DOWN_DEADLINE: &str = "scale-down-deadline";
/// Annotation of a ReplicaSet: the labels and annotations that its pods have for what they are now.
pub(crate) const EPHEMERAL: &str = "rollout.argoproj.io/ephemeral-metadata";
/// Annotation of a ReplicaSet: the Experiment that it is part of.
pub(super) const EXPERIMENT: &str = "experiment.argoproj.io/name";
/// Annotation of a Rollout: the generation of its workload that its pod template is of.
pub(super) const WORKLOAD_GENERATION: &str = "rollout.argoproj.io/workload-generation";
/// Annotation of a Service: the Rollout that writes its selector.
pub(super) const MANAGED_BY: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";

/// Annotations of a Rollout that its ReplicaSets do not get.
pub(super) const NOT_COPIED: [&str; 5] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    "notified.notifications.argoproj.io",
];
