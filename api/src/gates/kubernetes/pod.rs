//! Where pods are inside of the objects that carry one, and what they consist of.
//!
//! Every foreign value is looked at where it is, as JSON: what has the wrong type is an error that names its
//! place, never something that is passed over.

use std::collections::BTreeMap;

use super::image::{Holder, NamedImage};
use super::json::{Json, Kind, Malformed};

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
pub(super) struct PodView<'d> {
    /// Where it is in the object.
    carrier: &'static str,
    pub(super) spec: Json<'d>,
    metadata: Option<Json<'d>>,
    /// All containers: init, ordinary and ephemeral ones.
    pub(super) containers: Vec<Container<'d>>,
    /// The volumes, all of them objects.
    pub(super) volumes: Vec<Json<'d>>,
}

/// One container of any of the three lists.
#[derive(Clone, Copy)]
pub(super) struct Container<'d> {
    pub(super) list: List,
    pub(super) at: usize,
    pub(super) json: Json<'d>,
}

/// Which list a container is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Init,
    Ordinary,
    Ephemeral,
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

impl<'d> PodView<'d> {
    /// The pod inside of `object` at `carrier`. `None` if there is none: a template that is not filled in.
    pub(super) fn find(object: Json<'d>, carrier: &'static str) -> Result<Option<Self>, Malformed> {
        if !object.is_object() {
            return Err(Malformed::new("request.object", object, "an object"));
        }
        let Some(holder) = carrier.split('/').skip(1).try_fold(object, Json::get).and_then(Json::said) else {
            return Ok(None);
        };
        if !holder.is_object() {
            return Err(Malformed::new(carrier, holder, "an object"));
        }
        let Some(spec) = holder.get("spec").and_then(Json::said) else { return Ok(None) };
        if !spec.is_object() {
            return Err(Malformed::new(format!("{carrier}/spec"), spec, "an object"));
        }
        let mut containers = Vec::new();
        for list in List::ALL {
            let rows = objects(carrier, spec, list.key())?.into_iter().enumerate();
            containers.extend(rows.map(|(at, json)| Container { list, at, json }));
        }
        let volumes = objects(carrier, spec, "volumes")?;
        Ok(Some(Self { carrier, spec, metadata: holder.get("metadata"), containers, volumes }))
    }

    /// The labels that the pod has or will have.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.metadata.and_then(|metadata| metadata.get("labels"));
        let pair = |(key, value): (&str, Json<'_>)| Some((key.to_owned(), value.as_str()?.to_owned()));
        labels.into_iter().flat_map(Json::entries).filter_map(pair).collect()
    }

    /// Every image that the pod names: of all containers, then of image volumes. An empty name is no image yet.
    pub(super) fn images(&self) -> Result<Vec<NamedImage<'d>>, Malformed> {
        let mut images = Vec::with_capacity(self.containers.len());
        let mut note = |named: Option<Json<'d>>, holder: Holder<'d>| -> Result<(), Malformed> {
            let Some(named) = named.and_then(Json::said) else { return Ok(()) };
            let pointer = || holder.pointer(self.carrier);
            let image = named.as_str().ok_or_else(|| Malformed::new(pointer(), named, "a text"))?;
            if !image.is_empty() {
                images.push(NamedImage { image, carrier: self.carrier, holder });
            }
            Ok(())
        };
        for container in &self.containers {
            note(container.json.get("image"), Holder::Container(*container))?;
        }
        for (at, volume) in self.volumes.iter().enumerate() {
            let Some(source) = volume.get("image").and_then(Json::said) else { continue };
            if !source.is_object() {
                let pointer = format!("{}/spec/volumes/{at}/image", self.carrier);
                return Err(Malformed::new(pointer, source, "an object"));
            }
            note(source.get("reference"), Holder::Volume { at, json: *volume })?;
        }
        Ok(images)
    }
}

/// A list of objects in a specification; missing and `null` are empty.
fn objects<'d>(carrier: &str, spec: Json<'d>, key: &str) -> Result<Vec<Json<'d>>, Malformed> {
    let Some(list) = spec.get(key).and_then(Json::said) else { return Ok(Vec::new()) };
    if list.kind() != Kind::List {
        return Err(Malformed::new(format!("{carrier}/spec/{key}"), list, "a list"));
    }
    let row = |(at, row): (usize, Json<'d>)| match row.is_object() {
        true => Ok(row),
        false => Err(Malformed::new(format!("{carrier}/spec/{key}/{at}"), row, "an object")),
    };
    list.items().enumerate().map(row).collect()
}

impl Container<'_> {
    /// The container's name for people: `init container "migrate"`.
    pub(super) fn called(&self) -> String {
        called(self.list.noun(), self.json, self.at)
    }
}

/// `noun "name"`, or `noun 3` where there is no name.
pub(super) fn called(noun: &str, json: Json<'_>, at: usize) -> String {
    match json.get("name").and_then(Json::as_str).filter(|name| !name.is_empty()) {
        Some(name) => format!("{noun} {:?}", name.chars().take(63).collect::<String>()),
        None => format!("{noun} {at}"),
    }
}
