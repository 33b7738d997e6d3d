//! Volumes of a pod.

use super::container::OBJECT_FIELD_SELECTOR;
use super::container::RESOURCE_FIELD_SELECTOR;
use super::meta::LABEL_SELECTOR;
use super::meta::OBJECT_META;
use crate::hash::field::Kind::{Bool, Int32, Int64, List, Map, Quantity, Struct, Text};
use crate::hash::field::{Fields, always, nonzero, nullable, optional};

pub(super) static VOLUME: Fields = &[
    always("name", Text),
    optional("hostPath", Struct(&HOST_PATH_VOLUME_SOURCE)),
    optional("emptyDir", Struct(&EMPTY_DIR_VOLUME_SOURCE)),
    optional(
        "gcePersistentDisk",
        Struct(&GCE_PERSISTENT_DISK_VOLUME_SOURCE),
    ),
    optional(
        "awsElasticBlockStore",
        Struct(&AWS_ELASTIC_BLOCK_STORE_VOLUME_SOURCE),
    ),
    optional("gitRepo", Struct(&GIT_REPO_VOLUME_SOURCE)),
    optional("secret", Struct(&SECRET_VOLUME_SOURCE)),
    optional("nfs", Struct(&NFS_VOLUME_SOURCE)),
    optional("iscsi", Struct(&ISCSI_VOLUME_SOURCE)),
    optional("glusterfs", Struct(&GLUSTERFS_VOLUME_SOURCE)),
    optional(
        "persistentVolumeClaim",
        Struct(&PERSISTENT_VOLUME_CLAIM_VOLUME_SOURCE),
    ),
    optional("rbd", Struct(&RBD_VOLUME_SOURCE)),
    optional("flexVolume", Struct(&FLEX_VOLUME_SOURCE)),
    optional("cinder", Struct(&CINDER_VOLUME_SOURCE)),
    optional("cephfs", Struct(&CEPH_FS_VOLUME_SOURCE)),
    optional("flocker", Struct(&FLOCKER_VOLUME_SOURCE)),
    optional("downwardAPI", Struct(&DOWNWARD_API_VOLUME_SOURCE)),
    optional("fc", Struct(&FC_VOLUME_SOURCE)),
    optional("azureFile", Struct(&AZURE_FILE_VOLUME_SOURCE)),
    optional("configMap", Struct(&CONFIG_MAP_VOLUME_SOURCE)),
    optional("vsphereVolume", Struct(&VSPHERE_VIRTUAL_DISK_VOLUME_SOURCE)),
    optional("quobyte", Struct(&QUOBYTE_VOLUME_SOURCE)),
    optional("azureDisk", Struct(&AZURE_DISK_VOLUME_SOURCE)),
    optional(
        "photonPersistentDisk",
        Struct(&PHOTON_PERSISTENT_DISK_VOLUME_SOURCE),
    ),
    optional("projected", Struct(&PROJECTED_VOLUME_SOURCE)),
    optional("portworxVolume", Struct(&PORTWORX_VOLUME_SOURCE)),
    optional("scaleIO", Struct(&SCALE_IO_VOLUME_SOURCE)),
    optional("storageos", Struct(&STORAGE_OS_VOLUME_SOURCE)),
    optional("csi", Struct(&CSI_VOLUME_SOURCE)),
    optional("ephemeral", Struct(&EPHEMERAL_VOLUME_SOURCE)),
    optional("image", Struct(&IMAGE_VOLUME_SOURCE)),
];

pub(super) static IMAGE_VOLUME_SOURCE: Fields =
    &[nonzero("reference", Text), nonzero("pullPolicy", Text)];

pub(super) static EPHEMERAL_VOLUME_SOURCE: Fields = &[optional(
    "volumeClaimTemplate",
    Struct(&PERSISTENT_VOLUME_CLAIM_TEMPLATE),
)];

pub(super) static PERSISTENT_VOLUME_CLAIM_TEMPLATE: Fields = &[
    always("metadata", Struct(&OBJECT_META)),
    always("spec", Struct(&PERSISTENT_VOLUME_CLAIM_SPEC)),
];

pub(super) static PERSISTENT_VOLUME_CLAIM_SPEC: Fields = &[
    nonzero("accessModes", List(&Text)),
    optional("selector", Struct(&LABEL_SELECTOR)),
    always("resources", Struct(&VOLUME_RESOURCE_REQUIREMENTS)),
    nonzero("volumeName", Text),
    optional("storageClassName", Text),
    optional("volumeMode", Text),
    optional("dataSource", Struct(&TYPED_LOCAL_OBJECT_REFERENCE)),
    optional("dataSourceRef", Struct(&TYPED_OBJECT_REFERENCE)),
    optional("volumeAttributesClassName", Text),
];

pub(super) static TYPED_OBJECT_REFERENCE: Fields = &[
    nullable("apiGroup", Text),
    always("kind", Text),
    always("name", Text),
    optional("namespace", Text),
];

pub(super) static TYPED_LOCAL_OBJECT_REFERENCE: Fields = &[
    nullable("apiGroup", Text),
    always("kind", Text),
    always("name", Text),
];

pub(super) static VOLUME_RESOURCE_REQUIREMENTS: Fields = &[
    nonzero("limits", Map(&Quantity)),
    nonzero("requests", Map(&Quantity)),
];

pub(super) static CSI_VOLUME_SOURCE: Fields = &[
    always("driver", Text),
    optional("readOnly", Bool),
    optional("fsType", Text),
    nonzero("volumeAttributes", Map(&Text)),
    optional("nodePublishSecretRef", Struct(&LOCAL_OBJECT_REFERENCE)),
];

pub(super) static STORAGE_OS_VOLUME_SOURCE: Fields = &[
    nonzero("volumeName", Text),
    nonzero("volumeNamespace", Text),
    nonzero("fsType", Text),
    nonzero("readOnly", Bool),
    optional("secretRef", Struct(&LOCAL_OBJECT_REFERENCE)),
];

pub(super) static SCALE_IO_VOLUME_SOURCE: Fields = &[
    always("gateway", Text),
    always("system", Text),
    nullable("secretRef", Struct(&LOCAL_OBJECT_REFERENCE)),
    nonzero("sslEnabled", Bool),
    nonzero("protectionDomain", Text),
    nonzero("storagePool", Text),
    nonzero("storageMode", Text),
    nonzero("volumeName", Text),
    nonzero("fsType", Text),
    nonzero("readOnly", Bool),
];

pub(super) static PORTWORX_VOLUME_SOURCE: Fields = &[
    always("volumeID", Text),
    nonzero("fsType", Text),
    nonzero("readOnly", Bool),
];

pub(super) static PROJECTED_VOLUME_SOURCE: Fields = &[
    always("sources", List(&Struct(&VOLUME_PROJECTION))),
    optional("defaultMode", Int32),
];

pub(super) static VOLUME_PROJECTION: Fields = &[
    optional("secret", Struct(&SECRET_PROJECTION)),
    optional("downwardAPI", Struct(&DOWNWARD_API_PROJECTION)),
    optional("configMap", Struct(&CONFIG_MAP_PROJECTION)),
    optional(
        "serviceAccountToken",
        Struct(&SERVICE_ACCOUNT_TOKEN_PROJECTION),
    ),
    optional(
        "clusterTrustBundle",
        Struct(&CLUSTER_TRUST_BUNDLE_PROJECTION),
    ),
    optional("podCertificate", Struct(&POD_CERTIFICATE_PROJECTION)),
];

pub(super) static POD_CERTIFICATE_PROJECTION: Fields = &[
    nonzero("signerName", Text),
    nonzero("keyType", Text),
    optional("maxExpirationSeconds", Int32),
    nonzero("credentialBundlePath", Text),
    nonzero("keyPath", Text),
    nonzero("certificateChainPath", Text),
];

pub(super) static CLUSTER_TRUST_BUNDLE_PROJECTION: Fields = &[
    optional("name", Text),
    optional("signerName", Text),
    optional("labelSelector", Struct(&LABEL_SELECTOR)),
    optional("optional", Bool),
    always("path", Text),
];

pub(super) static SERVICE_ACCOUNT_TOKEN_PROJECTION: Fields = &[
    nonzero("audience", Text),
    optional("expirationSeconds", Int64),
    always("path", Text),
];

pub(super) static CONFIG_MAP_PROJECTION: Fields = &[
    nonzero("name", Text),
    nonzero("items", List(&Struct(&KEY_TO_PATH))),
    optional("optional", Bool),
];

pub(super) static DOWNWARD_API_PROJECTION: Fields =
    &[nonzero("items", List(&Struct(&DOWNWARD_API_VOLUME_FILE)))];

pub(super) static SECRET_PROJECTION: Fields = &[
    nonzero("name", Text),
    nonzero("items", List(&Struct(&KEY_TO_PATH))),
    optional("optional", Bool),
];

pub(super) static PHOTON_PERSISTENT_DISK_VOLUME_SOURCE: Fields =
    &[always("pdID", Text), nonzero("fsType", Text)];

pub(super) static AZURE_DISK_VOLUME_SOURCE: Fields = &[
    always("diskName", Text),
    always("diskURI", Text),
    optional("cachingMode", Text),
    optional("fsType", Text),
    optional("readOnly", Bool),
    optional("kind", Text),
];

pub(super) static QUOBYTE_VOLUME_SOURCE: Fields = &[
    always("registry", Text),
    always("volume", Text),
    nonzero("readOnly", Bool),
    nonzero("user", Text),
    nonzero("group", Text),
    nonzero("tenant", Text),
];

pub(super) static VSPHERE_VIRTUAL_DISK_VOLUME_SOURCE: Fields = &[
    always("volumePath", Text),
    nonzero("fsType", Text),
    nonzero("storagePolicyName", Text),
    nonzero("storagePolicyID", Text),
];

pub(super) static CONFIG_MAP_VOLUME_SOURCE: Fields = &[
    nonzero("name", Text),
    nonzero("items", List(&Struct(&KEY_TO_PATH))),
    optional("defaultMode", Int32),
    optional("optional", Bool),
];

pub(super) static AZURE_FILE_VOLUME_SOURCE: Fields = &[
    always("secretName", Text),
    always("shareName", Text),
    nonzero("readOnly", Bool),
];

pub(super) static FC_VOLUME_SOURCE: Fields = &[
    nonzero("targetWWNs", List(&Text)),
    optional("lun", Int32),
    nonzero("fsType", Text),
    nonzero("readOnly", Bool),
    nonzero("wwids", List(&Text)),
];

pub(super) static DOWNWARD_API_VOLUME_SOURCE: Fields = &[
    nonzero("items", List(&Struct(&DOWNWARD_API_VOLUME_FILE))),
    optional("defaultMode", Int32),
];

pub(super) static DOWNWARD_API_VOLUME_FILE: Fields = &[
    always("path", Text),
    optional("fieldRef", Struct(&OBJECT_FIELD_SELECTOR)),
    optional("resourceFieldRef", Struct(&RESOURCE_FIELD_SELECTOR)),
    optional("mode", Int32),
];

pub(super) static FLOCKER_VOLUME_SOURCE: Fields =
    &[nonzero("datasetName", Text), nonzero("datasetUUID", Text)];

pub(super) static CEPH_FS_VOLUME_SOURCE: Fields = &[
    always("monitors", List(&Text)),
    nonzero("path", Text),
    nonzero("user", Text),
    nonzero("secretFile", Text),
    optional("secretRef", Struct(&LOCAL_OBJECT_REFERENCE)),
    nonzero("readOnly", Bool),
];

pub(super) static CINDER_VOLUME_SOURCE: Fields = &[
    always("volumeID", Text),
    nonzero("fsType", Text),
    nonzero("readOnly", Bool),
    optional("secretRef", Struct(&LOCAL_OBJECT_REFERENCE)),
];

pub(super) static FLEX_VOLUME_SOURCE: Fields = &[
    always("driver", Text),
    nonzero("fsType", Text),
    optional("secretRef", Struct(&LOCAL_OBJECT_REFERENCE)),
    nonzero("readOnly", Bool),
    nonzero("options", Map(&Text)),
];

pub(super) static RBD_VOLUME_SOURCE: Fields = &[
    always("monitors", List(&Text)),
    always("image", Text),
    nonzero("fsType", Text),
    nonzero("pool", Text),
    nonzero("user", Text),
    nonzero("keyring", Text),
    optional("secretRef", Struct(&LOCAL_OBJECT_REFERENCE)),
    nonzero("readOnly", Bool),
];

pub(super) static PERSISTENT_VOLUME_CLAIM_VOLUME_SOURCE: Fields =
    &[always("claimName", Text), nonzero("readOnly", Bool)];

pub(super) static GLUSTERFS_VOLUME_SOURCE: Fields = &[
    always("endpoints", Text),
    always("path", Text),
    nonzero("readOnly", Bool),
];

pub(super) static ISCSI_VOLUME_SOURCE: Fields = &[
    always("targetPortal", Text),
    always("iqn", Text),
    always("lun", Int32),
    nonzero("iscsiInterface", Text),
    nonzero("fsType", Text),
    nonzero("readOnly", Bool),
    nonzero("portals", List(&Text)),
    nonzero("chapAuthDiscovery", Bool),
    nonzero("chapAuthSession", Bool),
    optional("secretRef", Struct(&LOCAL_OBJECT_REFERENCE)),
    optional("initiatorName", Text),
];

pub(super) static LOCAL_OBJECT_REFERENCE: Fields = &[nonzero("name", Text)];

pub(super) static NFS_VOLUME_SOURCE: Fields = &[
    always("server", Text),
    always("path", Text),
    nonzero("readOnly", Bool),
];

pub(super) static SECRET_VOLUME_SOURCE: Fields = &[
    nonzero("secretName", Text),
    nonzero("items", List(&Struct(&KEY_TO_PATH))),
    optional("defaultMode", Int32),
    optional("optional", Bool),
];

pub(super) static KEY_TO_PATH: Fields = &[
    always("key", Text),
    always("path", Text),
    optional("mode", Int32),
];

pub(super) static GIT_REPO_VOLUME_SOURCE: Fields = &[
    always("repository", Text),
    nonzero("revision", Text),
    nonzero("directory", Text),
];

pub(super) static AWS_ELASTIC_BLOCK_STORE_VOLUME_SOURCE: Fields = &[
    always("volumeID", Text),
    nonzero("fsType", Text),
    nonzero("partition", Int32),
    nonzero("readOnly", Bool),
];

pub(super) static GCE_PERSISTENT_DISK_VOLUME_SOURCE: Fields = &[
    always("pdName", Text),
    nonzero("fsType", Text),
    nonzero("partition", Int32),
    nonzero("readOnly", Bool),
];

pub(super) static EMPTY_DIR_VOLUME_SOURCE: Fields =
    &[nonzero("medium", Text), optional("sizeLimit", Quantity)];

pub(super) static HOST_PATH_VOLUME_SOURCE: Fields = &[always("path", Text), optional("type", Text)];
