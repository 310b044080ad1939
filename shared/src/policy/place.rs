//! Where an image is asked about, and which places a policy or an exception means.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::pattern::{Glob, ImagePattern};
use crate::model::image::ImageName;

/// Where an image is asked about. What is not known is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// Registry and repository.
    pub image: Option<ImageName>,
    /// The Kubernetes namespace.
    pub namespace: Option<String>,
    /// The labels of what would run it; shared by the places of all of its images.
    pub labels: Arc<BTreeMap<String, String>>,
}

/// The places that are meant: every part that is given has to fit; one that says nothing means everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// One of these repositories.
    pub repositories: Vec<ImagePattern>,
    /// One of these namespaces.
    pub namespaces: Vec<Glob>,
    /// Every one of these labels.
    pub labels: BTreeMap<String, Glob>,
}

impl Scope {
    /// Whether it means every place.
    pub fn is_everywhere(&self) -> bool {
        self.repositories.is_empty() && self.namespaces.is_empty() && self.labels.is_empty()
    }

    /// Whether the place is meant. A part of the place that is not known fits no pattern, not even `*`.
    pub fn covers(&self, place: &Place) -> bool {
        let image = || place.image.as_ref();
        let namespace = || place.namespace.as_deref();
        (self.repositories.is_empty()
            || image().is_some_and(|image| self.repositories.iter().any(|one| one.matches(image))))
            && (self.namespaces.is_empty()
                || namespace().is_some_and(|name| self.namespaces.iter().any(|one| one.matches(name))))
            && self
                .labels
                .iter()
                .all(|(key, wanted)| place.labels.get(key).is_some_and(|value| wanted.matches(value)))
    }

    /// Whether it speaks at a place, or at one that nobody knows: then only what means everywhere does.
    pub(super) fn holds_at(&self, place: Option<&Place>) -> bool {
        self.is_everywhere() || place.is_some_and(|place| self.covers(place))
    }
}

/// Everything besides the report and the policy that a verdict depends on.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The time of the judgement.
    pub now: Timestamp,
    /// Where the image is asked about. `None` is the strictest: exceptions for certain places do not hold.
    pub place: Option<&'a Place>,
}

impl Circumstances<'_> {
    /// A judgement for everybody, as workers make it.
    pub fn anywhere(now: Timestamp) -> Self {
        Self { now, place: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_scope_has_to_fit_and_the_unknown_fits_nothing() {
        let scope = Scope {
            repositories: vec![ImagePattern::new("r.io/team/*").unwrap()],
            namespaces: vec![Glob::new("prod-*").unwrap()],
            labels: BTreeMap::from([("tier".to_owned(), Glob::new("web").unwrap())]),
        };
        let fits = Place {
            image: Some("r.io/team/app".parse().unwrap()),
            namespace: Some("prod-eu".to_owned()),
            labels: BTreeMap::from([("tier".to_owned(), "web".to_owned())]).into(),
        };
        assert!(scope.covers(&fits));
        assert!(!scope.covers(&Place { image: None, ..fits.clone() }));
        assert!(!scope.covers(&Place { image: Some("r.io/other/app".parse().unwrap()), ..fits.clone() }));
        assert!(!scope.covers(&Place { namespace: Some("test".to_owned()), ..fits.clone() }));
        assert!(!scope.covers(&Place { namespace: None, ..fits.clone() }));
        assert!(!scope.covers(&Place { labels: Arc::default(), ..fits.clone() }));
        assert!(!scope.holds_at(None) && Scope::default().holds_at(None));
        assert!(Scope::default().covers(&Place::default()) && Scope::default().covers(&fits));
    }
}
