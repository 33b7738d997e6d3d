//! Pods and their template.

use super::affinity::AFFINITY;
use super::container::APP_ARMOR_PROFILE;
use super::container::CONTAINER;
use super::container::EPHEMERAL_CONTAINER;
use super::container::RESOURCE_REQUIREMENTS;
use super::container::SE_LINUX_OPTIONS;
use super::container::SECCOMP_PROFILE;
use super::container::WINDOWS_SECURITY_CONTEXT_OPTIONS;
use super::meta::LABEL_SELECTOR;
use super::meta::OBJECT_META;
use super::volume::LOCAL_OBJECT_REFERENCE;
use super::volume::VOLUME;
use crate::hash::field::Kind::{Bool, Int32, Int64, List, Map, Quantity, Struct, Text};
use crate::hash::field::{Fields, always, nonzero, optional};

pub(super) static POD_TEMPLATE_SPEC: Fields = &[
    always("metadata", Struct(&OBJECT_META)),
    always("spec", Struct(&POD_SPEC)),
];

pub(super) static POD_SPEC: Fields = &[
    nonzero("volumes", List(&Struct(&VOLUME))),
    nonzero("initContainers", List(&Struct(&CONTAINER))),
    always("containers", List(&Struct(&CONTAINER))),
    nonzero("ephemeralContainers", List(&Struct(&EPHEMERAL_CONTAINER))),
    nonzero("restartPolicy", Text),
    optional("terminationGracePeriodSeconds", Int64),
    optional("activeDeadlineSeconds", Int64),
    nonzero("dnsPolicy", Text),
    nonzero("nodeSelector", Map(&Text)),
    nonzero("serviceAccountName", Text),
    nonzero("serviceAccount", Text),
    optional("automountServiceAccountToken", Bool),
    nonzero("nodeName", Text),
    nonzero("hostNetwork", Bool),
    nonzero("hostPID", Bool),
    nonzero("hostIPC", Bool),
    optional("shareProcessNamespace", Bool),
    optional("securityContext", Struct(&POD_SECURITY_CONTEXT)),
    nonzero("imagePullSecrets", List(&Struct(&LOCAL_OBJECT_REFERENCE))),
    nonzero("hostname", Text),
    nonzero("subdomain", Text),
    optional("affinity", Struct(&AFFINITY)),
    nonzero("schedulerName", Text),
    nonzero("tolerations", List(&Struct(&TOLERATION))),
    nonzero("hostAliases", List(&Struct(&HOST_ALIAS))),
    nonzero("priorityClassName", Text),
    optional("priority", Int32),
    optional("dnsConfig", Struct(&POD_DNS_CONFIG)),
    nonzero("readinessGates", List(&Struct(&POD_READINESS_GATE))),
    optional("runtimeClassName", Text),
    optional("enableServiceLinks", Bool),
    optional("preemptionPolicy", Text),
    nonzero("overhead", Map(&Quantity)),
    nonzero(
        "topologySpreadConstraints",
        List(&Struct(&TOPOLOGY_SPREAD_CONSTRAINT)),
    ),
    optional("setHostnameAsFQDN", Bool),
    optional("os", Struct(&POD_OS)),
    optional("hostUsers", Bool),
    nonzero("schedulingGates", List(&Struct(&POD_SCHEDULING_GATE))),
    nonzero("resourceClaims", List(&Struct(&POD_RESOURCE_CLAIM))),
    optional("resources", Struct(&RESOURCE_REQUIREMENTS)),
    optional("hostnameOverride", Text),
];

pub(super) static POD_RESOURCE_CLAIM: Fields = &[
    always("name", Text),
    optional("resourceClaimName", Text),
    optional("resourceClaimTemplateName", Text),
];

pub(super) static POD_SCHEDULING_GATE: Fields = &[always("name", Text)];

pub(super) static POD_OS: Fields = &[always("name", Text)];

pub(super) static TOPOLOGY_SPREAD_CONSTRAINT: Fields = &[
    always("maxSkew", Int32),
    always("topologyKey", Text),
    always("whenUnsatisfiable", Text),
    optional("labelSelector", Struct(&LABEL_SELECTOR)),
    optional("minDomains", Int32),
    optional("nodeAffinityPolicy", Text),
    optional("nodeTaintsPolicy", Text),
    nonzero("matchLabelKeys", List(&Text)),
];

pub(super) static POD_READINESS_GATE: Fields = &[always("conditionType", Text)];

pub(super) static POD_DNS_CONFIG: Fields = &[
    nonzero("nameservers", List(&Text)),
    nonzero("searches", List(&Text)),
    nonzero("options", List(&Struct(&POD_DNS_CONFIG_OPTION))),
];

pub(super) static POD_DNS_CONFIG_OPTION: Fields = &[nonzero("name", Text), optional("value", Text)];

pub(super) static HOST_ALIAS: Fields = &[always("ip", Text), nonzero("hostnames", List(&Text))];

pub(super) static TOLERATION: Fields = &[
    nonzero("key", Text),
    nonzero("operator", Text),
    nonzero("value", Text),
    nonzero("effect", Text),
    optional("tolerationSeconds", Int64),
];

pub(super) static POD_SECURITY_CONTEXT: Fields = &[
    optional("seLinuxOptions", Struct(&SE_LINUX_OPTIONS)),
    optional("windowsOptions", Struct(&WINDOWS_SECURITY_CONTEXT_OPTIONS)),
    optional("runAsUser", Int64),
    optional("runAsGroup", Int64),
    optional("runAsNonRoot", Bool),
    nonzero("supplementalGroups", List(&Int64)),
    optional("supplementalGroupsPolicy", Text),
    optional("fsGroup", Int64),
    nonzero("sysctls", List(&Struct(&SYSCTL))),
    optional("fsGroupChangePolicy", Text),
    optional("seccompProfile", Struct(&SECCOMP_PROFILE)),
    optional("appArmorProfile", Struct(&APP_ARMOR_PROFILE)),
    optional("seLinuxChangePolicy", Text),
];

pub(super) static SYSCTL: Fields = &[always("name", Text), always("value", Text)];
