//! Other images for the containers of a pod template.

use std::str::FromStr;

use serde_json::{Value, json};

/// An image for a container, written `CONTAINER=IMAGE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerImage {
    /// The container's name; `*` is all of them.
    pub container: String,
    /// The image.
    pub image: String,
}

/// A text that says no image for a container.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {0:?}, allowed CONTAINER=IMAGE such as app=shop:1.2, or *=IMAGE for all containers")]
pub struct NoContainerImage(String);

impl FromStr for ContainerImage {
    type Err = NoContainerImage;

    fn from_str(text: &str) -> Result<Self, NoContainerImage> {
        match text.split_once('=') {
            Some((container, image)) if !container.is_empty() && is_image(image) => Ok(Self {
                container: container.to_owned(),
                image: image.to_owned(),
            }),
            _ => Err(NoContainerImage(text.to_owned())),
        }
    }
}

fn is_image(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c == '=' || c.is_whitespace())
}

/// `template` with other images.
pub(super) fn set(template: &Value, images: &[ContainerImage]) -> Result<Value, String> {
    let mut template = template.clone();
    for image in images {
        set_one(&mut template, image)?;
    }
    Ok(template)
}

fn set_one(template: &mut Value, wanted: &ContainerImage) -> Result<(), String> {
    let mut names = Vec::new();
    let mut is_found = false;
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        let list = template.pointer_mut(&format!("/spec/{field}"));
        let list = list.and_then(Value::as_array_mut).into_iter().flatten();
        for entry in list.filter_map(Value::as_object_mut) {
            let name = entry.get("name").and_then(Value::as_str);
            let name = name.unwrap_or_default().to_owned();
            if wanted.container == "*" || name == wanted.container {
                entry.insert("image".to_owned(), json!(wanted.image));
                is_found = true;
            }
            names.push(name);
        }
    }
    match (is_found, names.as_slice()) {
        (true, _) => Ok(()),
        (false, []) => Err("its pod template has no containers".to_owned()),
        (false, names) => Err(format!(
            "it has no container {:?}; there are {}",
            wanted.container,
            names.join(", ")
        )),
    }
}
