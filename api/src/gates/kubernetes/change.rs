//! What of an admission request has to be judged: everything of a new object, and of a changed one what is new.
//!
//! An update that neither names another image nor offends another pod rule is free: labels, scaling and
//! finalizers of what runs already are not held up by a verdict that has turned.

use std::collections::HashSet;

use shared::policy::Place;

use super::image::NamedImage;
use super::json::Malformed;
use super::offences::{self, Offence};
use super::pod::{Carrier, PodView};
use super::review::{Admission, Operation};
use crate::gates::Purpose;

/// What is to be judged.
pub(super) enum Change<'d> {
    /// Nothing: it is a deletion, a connection, a scale, or of a kind that is not known; the last has a remark.
    Nothing {
        /// What people should know all the same.
        remark: Option<String>,
    },
    /// These images and offences of one pod, or of a template.
    Pod(PodChange<'d>),
}

/// What is new in a pod.
pub(super) struct PodChange<'d> {
    /// Where it would run; `image` is left open.
    pub(super) place: Place,
    /// The images that were not in it before.
    pub(super) images: Vec<NamedImage<'d>>,
    /// Every image's name, also of those that were in it before.
    pub(super) all_images: Vec<&'d str>,
    /// The offences that were not in it before.
    pub(super) offences: Vec<Offence>,
}

impl<'d> Change<'d> {
    /// What a request changes.
    pub(super) fn of(admission: &Admission<'d>) -> Result<Self, Malformed> {
        let old = match admission.operation {
            Operation::Delete | Operation::Connect => return Ok(Self::Nothing { remark: None }),
            Operation::Create => None,
            Operation::Update => admission.old_object.said(),
        };
        let carrier = match Carrier::of(admission.group, admission.kind, admission.sub_resource) {
            Carrier::At(carrier) => carrier,
            Carrier::None => return Ok(Self::Nothing { remark: None }),
            Carrier::Unknown => {
                let kind: String = admission.kind.chars().take(40).collect();
                let remark = format!("{kind} is not judged here; its pods are, when they are created");
                return Ok(Self::Nothing { remark: Some(remark) });
            }
        };
        let Some(pod) = PodView::find(admission.object, carrier)? else {
            return Ok(Self::Nothing {
                remark: Some("there is no pod in it, so nothing was judged".to_owned()),
            });
        };
        // What was stored before is not this request's fault: where it cannot be read, everything is new.
        let old = old.and_then(|old| PodView::find(old, carrier).ok().flatten());
        Ok(Self::Pod(PodChange::between(old.as_ref(), &pod, admission)?))
    }
}

impl<'d> PodChange<'d> {
    fn between(
        old: Option<&PodView<'d>>,
        new: &PodView<'d>,
        admission: &Admission<'d>,
    ) -> Result<Self, Malformed> {
        let place = Place {
            image: None,
            namespace: admission.namespace.map(str::to_owned),
            labels: new.labels().into(),
        };
        let mut images = new.images()?;
        let mut offences = offences::find(new);
        let all_images = images.iter().map(|image| image.image).collect();
        if let Some(old) = old {
            let known = old.images().unwrap_or_default();
            let known: HashSet<(Purpose, &str)> =
                known.iter().map(|image| (image.purpose(), image.image)).collect();
            images.retain(|image| !known.contains(&(image.purpose(), image.image)));
            let known: HashSet<Offence> = offences::find(old).into_iter().collect();
            offences.retain(|offence| !known.contains(offence));
        }
        Ok(Self { place, images, all_images, offences })
    }
}
