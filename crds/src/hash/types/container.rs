//! Containers of a pod.

use crate::hash::field::Kind::{
    Bool, Int32, Int64, IntOrString, List, Map, Quantity, Struct, Text,
};
use crate::hash::field::{Fields, always, nonzero, nullable, optional};

pub(super) static EPHEMERAL_CONTAINER: Fields = &[
    always("name", Text),
    nonzero("image", Text),
    nonzero("command", List(&Text)),
    nonzero("args", List(&Text)),
    nonzero("workingDir", Text),
    nonzero("ports", List(&Struct(&CONTAINER_PORT))),
    nonzero("envFrom", List(&Struct(&ENV_FROM_SOURCE))),
    nonzero("env", List(&Struct(&ENV_VAR))),
    always("resources", Struct(&RESOURCE_REQUIREMENTS)),
    nonzero("resizePolicy", List(&Struct(&CONTAINER_RESIZE_POLICY))),
    optional("restartPolicy", Text),
    nonzero("restartPolicyRules", List(&Struct(&CONTAINER_RESTART_RULE))),
    nonzero("volumeMounts", List(&Struct(&VOLUME_MOUNT))),
    nonzero("volumeDevices", List(&Struct(&VOLUME_DEVICE))),
    optional("livenessProbe", Struct(&PROBE)),
    optional("readinessProbe", Struct(&PROBE)),
    optional("startupProbe", Struct(&PROBE)),
    optional("lifecycle", Struct(&LIFECYCLE)),
    nonzero("terminationMessagePath", Text),
    nonzero("terminationMessagePolicy", Text),
    nonzero("imagePullPolicy", Text),
    optional("securityContext", Struct(&SECURITY_CONTEXT)),
    nonzero("stdin", Bool),
    nonzero("stdinOnce", Bool),
    nonzero("tty", Bool),
    nonzero("targetContainerName", Text),
];

pub(super) static CONTAINER: Fields = &[
    always("name", Text),
    nonzero("image", Text),
    nonzero("command", List(&Text)),
    nonzero("args", List(&Text)),
    nonzero("workingDir", Text),
    nonzero("ports", List(&Struct(&CONTAINER_PORT))),
    nonzero("envFrom", List(&Struct(&ENV_FROM_SOURCE))),
    nonzero("env", List(&Struct(&ENV_VAR))),
    always("resources", Struct(&RESOURCE_REQUIREMENTS)),
    nonzero("resizePolicy", List(&Struct(&CONTAINER_RESIZE_POLICY))),
    optional("restartPolicy", Text),
    nonzero("restartPolicyRules", List(&Struct(&CONTAINER_RESTART_RULE))),
    nonzero("volumeMounts", List(&Struct(&VOLUME_MOUNT))),
    nonzero("volumeDevices", List(&Struct(&VOLUME_DEVICE))),
    optional("livenessProbe", Struct(&PROBE)),
    optional("readinessProbe", Struct(&PROBE)),
    optional("startupProbe", Struct(&PROBE)),
    optional("lifecycle", Struct(&LIFECYCLE)),
    nonzero("terminationMessagePath", Text),
    nonzero("terminationMessagePolicy", Text),
    nonzero("imagePullPolicy", Text),
    optional("securityContext", Struct(&SECURITY_CONTEXT)),
    nonzero("stdin", Bool),
    nonzero("stdinOnce", Bool),
    nonzero("tty", Bool),
];

pub(super) static SECURITY_CONTEXT: Fields = &[
    optional("capabilities", Struct(&CAPABILITIES)),
    optional("privileged", Bool),
    optional("seLinuxOptions", Struct(&SE_LINUX_OPTIONS)),
    optional("windowsOptions", Struct(&WINDOWS_SECURITY_CONTEXT_OPTIONS)),
    optional("runAsUser", Int64),
    optional("runAsGroup", Int64),
    optional("runAsNonRoot", Bool),
    optional("readOnlyRootFilesystem", Bool),
    optional("allowPrivilegeEscalation", Bool),
    optional("procMount", Text),
    optional("seccompProfile", Struct(&SECCOMP_PROFILE)),
    optional("appArmorProfile", Struct(&APP_ARMOR_PROFILE)),
];

pub(super) static APP_ARMOR_PROFILE: Fields =
    &[always("type", Text), optional("localhostProfile", Text)];

pub(super) static SECCOMP_PROFILE: Fields =
    &[always("type", Text), optional("localhostProfile", Text)];

pub(super) static WINDOWS_SECURITY_CONTEXT_OPTIONS: Fields = &[
    optional("gmsaCredentialSpecName", Text),
    optional("gmsaCredentialSpec", Text),
    optional("runAsUserName", Text),
    optional("hostProcess", Bool),
];

pub(super) static SE_LINUX_OPTIONS: Fields = &[
    nonzero("user", Text),
    nonzero("role", Text),
    nonzero("type", Text),
    nonzero("level", Text),
];

pub(super) static CAPABILITIES: Fields =
    &[nonzero("add", List(&Text)), nonzero("drop", List(&Text))];

pub(super) static LIFECYCLE: Fields = &[
    optional("postStart", Struct(&LIFECYCLE_HANDLER)),
    optional("preStop", Struct(&LIFECYCLE_HANDLER)),
    optional("stopSignal", Text),
];

pub(super) static LIFECYCLE_HANDLER: Fields = &[
    optional("exec", Struct(&EXEC_ACTION)),
    optional("httpGet", Struct(&HTTP_GET_ACTION)),
    optional("tcpSocket", Struct(&TCP_SOCKET_ACTION)),
    optional("sleep", Struct(&SLEEP_ACTION)),
];

pub(super) static SLEEP_ACTION: Fields = &[always("seconds", Int64)];

pub(super) static PROBE: Fields = &[
    optional("exec", Struct(&EXEC_ACTION)),
    optional("httpGet", Struct(&HTTP_GET_ACTION)),
    optional("tcpSocket", Struct(&TCP_SOCKET_ACTION)),
    optional("grpc", Struct(&GRPC_ACTION)),
    nonzero("initialDelaySeconds", Int32),
    nonzero("timeoutSeconds", Int32),
    nonzero("periodSeconds", Int32),
    nonzero("successThreshold", Int32),
    nonzero("failureThreshold", Int32),
    optional("terminationGracePeriodSeconds", Int64),
];

pub(super) static GRPC_ACTION: Fields = &[always("port", Int32), nullable("service", Text)];

pub(super) static TCP_SOCKET_ACTION: Fields = &[always("port", IntOrString), nonzero("host", Text)];

pub(super) static HTTP_GET_ACTION: Fields = &[
    nonzero("path", Text),
    always("port", IntOrString),
    nonzero("host", Text),
    nonzero("scheme", Text),
    nonzero("httpHeaders", List(&Struct(&HTTP_HEADER))),
];

pub(super) static HTTP_HEADER: Fields = &[always("name", Text), always("value", Text)];

pub(super) static EXEC_ACTION: Fields = &[nonzero("command", List(&Text))];

pub(super) static VOLUME_DEVICE: Fields = &[always("name", Text), always("devicePath", Text)];

pub(super) static VOLUME_MOUNT: Fields = &[
    always("name", Text),
    nonzero("readOnly", Bool),
    optional("recursiveReadOnly", Text),
    always("mountPath", Text),
    nonzero("subPath", Text),
    optional("mountPropagation", Text),
    nonzero("subPathExpr", Text),
];

pub(super) static CONTAINER_RESTART_RULE: Fields = &[
    nonzero("action", Text),
    optional("exitCodes", Struct(&CONTAINER_RESTART_RULE_ON_EXIT_CODES)),
];

pub(super) static CONTAINER_RESTART_RULE_ON_EXIT_CODES: Fields =
    &[nonzero("operator", Text), nonzero("values", List(&Int32))];

pub(super) static CONTAINER_RESIZE_POLICY: Fields =
    &[always("resourceName", Text), always("restartPolicy", Text)];

pub(super) static RESOURCE_REQUIREMENTS: Fields = &[
    nonzero("limits", Map(&Quantity)),
    nonzero("requests", Map(&Quantity)),
    nonzero("claims", List(&Struct(&RESOURCE_CLAIM))),
];

pub(super) static RESOURCE_CLAIM: Fields = &[always("name", Text), nonzero("request", Text)];

pub(super) static ENV_VAR: Fields = &[
    always("name", Text),
    nonzero("value", Text),
    optional("valueFrom", Struct(&ENV_VAR_SOURCE)),
];

pub(super) static ENV_VAR_SOURCE: Fields = &[
    optional("fieldRef", Struct(&OBJECT_FIELD_SELECTOR)),
    optional("resourceFieldRef", Struct(&RESOURCE_FIELD_SELECTOR)),
    optional("configMapKeyRef", Struct(&CONFIG_MAP_KEY_SELECTOR)),
    optional("secretKeyRef", Struct(&SECRET_KEY_SELECTOR)),
    optional("fileKeyRef", Struct(&FILE_KEY_SELECTOR)),
];

pub(super) static FILE_KEY_SELECTOR: Fields = &[
    always("volumeName", Text),
    always("path", Text),
    always("key", Text),
    optional("optional", Bool),
];

pub(super) static SECRET_KEY_SELECTOR: Fields = &[
    nonzero("name", Text),
    always("key", Text),
    optional("optional", Bool),
];

pub(super) static CONFIG_MAP_KEY_SELECTOR: Fields = &[
    nonzero("name", Text),
    always("key", Text),
    optional("optional", Bool),
];

pub(super) static ENV_FROM_SOURCE: Fields = &[
    nonzero("prefix", Text),
    optional("configMapRef", Struct(&CONFIG_MAP_ENV_SOURCE)),
    optional("secretRef", Struct(&SECRET_ENV_SOURCE)),
];

pub(super) static SECRET_ENV_SOURCE: Fields = &[nonzero("name", Text), optional("optional", Bool)];

pub(super) static CONFIG_MAP_ENV_SOURCE: Fields =
    &[nonzero("name", Text), optional("optional", Bool)];

pub(super) static CONTAINER_PORT: Fields = &[
    nonzero("name", Text),
    nonzero("hostPort", Int32),
    always("containerPort", Int32),
    nonzero("protocol", Text),
    nonzero("hostIP", Text),
];

pub(super) static RESOURCE_FIELD_SELECTOR: Fields = &[
    nonzero("containerName", Text),
    always("resource", Text),
    always("divisor", Quantity),
];

pub(super) static OBJECT_FIELD_SELECTOR: Fields =
    &[nonzero("apiVersion", Text), always("fieldPath", Text)];
