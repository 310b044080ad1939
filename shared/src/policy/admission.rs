//! What a policy thinks of a request before anything is known about the image itself.

use super::pattern::ImagePattern;
use super::{Level, Place, Policy};
use crate::model::image::ImageName;
use crate::model::verdict::{Effect, Reason};

/// Where images may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryRules {
    /// These repositories.
    pub allow: Vec<ImagePattern>,
    /// What becomes of images from elsewhere.
    pub otherwise: Effect,
}

impl Policy {
    /// What speaks against running this image wherever it is and whatever is in it: where it comes from.
    pub fn admission_reasons(&self, image: &ImageName) -> Vec<Reason> {
        let Some(rules) = &self.registries else { return Vec::new() };
        if rules.allow.iter().any(|pattern| pattern.matches(image)) {
            return Vec::new();
        }
        let message = format!("{image} is from none of the registries that policy {} allows", self.name);
        vec![Reason::of_rule("registries", rules.otherwise, message)]
    }

    /// Whether the policy would speak differently about an image asked for there than about the same image
    /// asked for anywhere: an exception holds at that place alone.
    pub fn depends_on(&self, place: &Place) -> bool {
        let scoped = self.exceptions.iter().filter(|exception| !exception.scope.is_everywhere());
        scoped.into_iter().any(|exception| exception.scope.covers(place))
    }
}

impl From<Level> for Option<Effect> {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => None,
            Level::Warn => Some(Effect::Warn),
            Level::Deny => Some(Effect::Deny),
        }
    }
}
