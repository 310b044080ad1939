//! Where pods are inside of the objects that carry one, and the images that they name.
//!
//! Every foreign value is looked at where it is, as JSON: what has the wrong type is an error that names its
//! place, never something that is passed over.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::gates::Purpose;

/// Where the pod specification is inside of an object; its metadata are beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// The object is known to carry none: a scale, a status, an eviction.
    None,
    /// The pod itself, or a template, under this pointer; empty for a pod.
    At(&'static str),
    /// A kind that this gate does not know.
    Unknown,
}

/// Kinds with a pod inside, and where: group, kind, pointer of what has `metadata` and `spec`.
///
/// A new kind is a new line.
const CARRIERS: &[(&str, &str, &str)] = &[
    ("", "Pod", ""),
    ("", "ReplicationController", "/spec/template"),
    ("", "PodTemplate", "/template"),
    ("apps", "Deployment", "/spec/template"),
    ("apps", "ReplicaSet", "/spec/template"),
    ("apps", "StatefulSet", "/spec/template"),
    ("apps", "DaemonSet", "/spec/template"),
    ("extensions", "Deployment", "/spec/template"),
    ("extensions", "ReplicaSet", "/spec/template"),
    ("extensions", "DaemonSet", "/spec/template"),
    ("batch", "Job", "/spec/template"),
    ("batch", "CronJob", "/spec/jobTemplate/spec/template"),
];

impl Carrier {
    /// Where the pod is in an object of this kind, or in what a subresource of it takes.
    pub(super) fn of(group: &str, kind: &str, sub_resource: Option<&str>) -> Self {
        match sub_resource {
            None | Some("ephemeralcontainers" | "resize") => {}
            // Status, scale, binding, eviction, exec …: nothing that names an image.
            Some(_) => return Self::None,
        }
        match CARRIERS.iter().find(|row| row.0 == group && row.1 == kind) {
            Some((_, _, pointer)) => Self::At(pointer),
            None if kind == "Scale" => Self::None,
            None => Self::Unknown,
        }
    }
}

/// A pod inside of an object, looked at but not copied.
#[derive(Clone, Debug)]
pub(super) struct PodView<'a> {
    /// The pointer of the specification: `/spec`, `/spec/template/spec` …
    pointer: String,
    pub(super) spec: &'a Value,
    metadata: Option<&'a Value>,
}

/// A place in the object that has the wrong shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer} is {found}; expected {expected}")]
pub(super) struct Malformed {
    pointer: String,
    found: &'static str,
    expected: &'static str,
}

/// One container of any of the three lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Container<'a> {
    pub(super) list: List,
    pub(super) at: usize,
    pub(super) json: &'a Value,
}

/// Which list a container is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Init,
    Ordinary,
    Ephemeral,
}

/// An image that a pod names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedImage {
    /// The JSON pointer of the name, from the root of the object.
    pub(super) pointer: String,
    /// The name, verbatim and not empty.
    pub(super) image: String,
    pub(super) purpose: Purpose,
    /// For people: `container "app"`.
    pub(super) owner: String,
}

impl List {
    const ALL: [Self; 3] = [Self::Init, Self::Ordinary, Self::Ephemeral];

    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Ordinary => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Init => "init container",
            Self::Ordinary => "container",
            Self::Ephemeral => "ephemeral container",
        }
    }
}

impl<'a> PodView<'a> {
    /// The pod inside of `object` at `carrier`. `None` if there is none: a template that is not filled in.
    pub(super) fn find(object: &'a Value, carrier: &str) -> Result<Option<Self>, Malformed> {
        if !object.is_object() {
            return Err(malformed("request.object".to_owned(), object, "an object"));
        }
        let pointer = format!("{carrier}/spec");
        let Some(holder) = object.pointer(carrier) else { return Ok(None) };
        match (holder, holder.get("spec")) {
            (Value::Null, _) | (Value::Object(_), None | Some(Value::Null)) => Ok(None),
            (Value::Object(_), Some(spec @ Value::Object(_))) => {
                Ok(Some(Self { pointer, spec, metadata: holder.get("metadata") }))
            }
            (Value::Object(_), Some(other)) => Err(malformed(pointer, other, "an object")),
            (other, _) => Err(malformed(carrier.to_owned(), other, "an object")),
        }
    }

    /// The labels that the pod has or will have.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.metadata.and_then(|metadata| metadata.get("labels")).and_then(Value::as_object);
        let pair = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        labels.into_iter().flatten().filter_map(pair).collect()
    }

    /// All containers: init, ordinary and ephemeral ones.
    pub(super) fn containers(&self) -> Result<Vec<Container<'a>>, Malformed> {
        let mut containers = Vec::new();
        for list in List::ALL {
            for (at, json) in self.list(list.key())?.iter().enumerate() {
                containers.push(Container { list, at, json });
            }
        }
        Ok(containers)
    }

    /// The volumes.
    pub(super) fn volumes(&self) -> Result<&'a [Value], Malformed> {
        self.list("volumes")
    }

    /// A list of objects; missing and `null` are empty.
    fn list(&self, key: &str) -> Result<&'a [Value], Malformed> {
        let pointer = format!("{}/{key}", self.pointer);
        match self.spec.get(key) {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(rows)) => match rows.iter().position(|row| !row.is_object()) {
                None => Ok(rows),
                Some(at) => Err(malformed(format!("{pointer}/{at}"), &rows[at], "an object")),
            },
            Some(other) => Err(malformed(pointer, other, "a list")),
        }
    }

    /// Every image that the pod names: of all containers, then of image volumes. An empty name is no image yet.
    pub(super) fn images(&self) -> Result<Vec<NamedImage>, Malformed> {
        let mut images = Vec::new();
        for container in self.containers()? {
            let pointer = format!("{}/{}/{}/image", self.pointer, container.list.key(), container.at);
            if let Some(image) = text(container.json.get("image"), &pointer)? {
                let owner = container.called();
                images.push(NamedImage { pointer, image, purpose: Purpose::Container, owner });
            }
        }
        for (at, volume) in self.volumes()?.iter().enumerate() {
            let pointer = format!("{}/volumes/{at}/image", self.pointer);
            let source = match volume.get("image") {
                None | Some(Value::Null) => continue,
                Some(source @ Value::Object(_)) => source,
                Some(other) => return Err(malformed(pointer, other, "an object")),
            };
            let pointer = format!("{pointer}/reference");
            if let Some(image) = text(source.get("reference"), &pointer)? {
                let owner = called("image volume", volume, at);
                images.push(NamedImage { pointer, image, purpose: Purpose::Volume, owner });
            }
        }
        Ok(images)
    }
}

impl Container<'_> {
    /// The container's name for people: `init container "migrate"`.
    pub(super) fn called(&self) -> String {
        called(self.list.noun(), self.json, self.at)
    }
}

/// `noun "name"`, or `noun 3` where there is no name.
pub(super) fn called(noun: &str, json: &Value, at: usize) -> String {
    match json.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        Some(name) => format!("{noun} {:?}", name.chars().take(63).collect::<String>()),
        None => format!("{noun} {at}"),
    }
}

fn text(value: Option<&Value>, pointer: &str) -> Result<Option<String>, Malformed> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(malformed(pointer.to_owned(), other, "a text")),
    }
}

fn malformed(pointer: String, found: &Value, expected: &'static str) -> Malformed {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Malformed { pointer, found, expected }
}
