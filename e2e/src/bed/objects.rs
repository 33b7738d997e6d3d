//! What tests do with objects: apply them as users do, and wait for what they are to become.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
    runtime::wait::{Condition, await_condition},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt::Debug;

/// Makes the namespace `name`, ready for Pods.
///
/// # Errors
/// When the API server refuses.
pub async fn namespace(client: &Client, name: &str) -> Result<String> {
    let namespace = serde_json::from_value::<Namespace>(json!({"metadata": {"name": name}}))?;
    Api::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    let is_there = |found: Option<&ServiceAccount>| found.is_some();
    await_condition(accounts, "default", is_there).await?;
    Ok(name.to_owned())
}

/// Applies `object` (server-side, as `kubectl apply --server-side` does), whose name is in its metadata.
///
/// # Errors
/// When the API server refuses.
pub async fn apply<K>(api: &Api<K>, object: &Value) -> Result<K>
where
    K: Clone + DeserializeOwned + Debug,
{
    let name = object["metadata"]["name"]
        .as_str()
        .context("metadata.name")?;
    let as_user = PatchParams::apply("e2e-test").force();
    Ok(api.patch(name, &as_user, &Patch::Apply(object)).await?)
}

/// Waits until `condition` holds for the object `name`, and returns it then; none when it holds for its absence.
///
/// # Errors
/// When it cannot be watched.
pub async fn wait<K>(api: &Api<K>, name: &str, condition: impl Condition<K>) -> Result<Option<K>>
where
    K: Clone + DeserializeOwned + Debug + Send + Serialize + Resource<DynamicType = ()> + 'static,
{
    Ok(await_condition(api.clone(), name, condition).await?)
}
