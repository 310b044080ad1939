//! From a recorded change to the event that tells it: where the image was seen, and what speaks against it.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use url::Url;

use crate::model::change::Change;
use crate::model::event::{
    EventPlace, EventReason, SpecVersion, VERDICT_CHANGED, VerdictChanged, VerdictEvent,
};
use crate::model::image::{ImageName, Tag};
use crate::model::verdict::{Lookup, Reason};
use crate::store::{Sighting, StoreError, VerdictStore};

/// The longest sentence of a reason that an event repeats, in bytes.
const LONGEST_MESSAGE: usize = 500;

/// Describes changes as events.
pub struct Describer {
    store: Arc<dyn VerdictStore>,
    source: String,
}

impl Describer {
    /// Events whose source is `public_url`, with what `store` knows about their images.
    pub fn new(store: Arc<dyn VerdictStore>, public_url: &Url) -> Self {
        Self { store, source: public_url.as_str().trim_end_matches('/').to_owned() }
    }

    /// The event that tells `change`. An image that was seen nowhere is known to live at `image` from now on.
    pub async fn describe(
        &self,
        change: &Change,
        image: Option<&ImageName>,
    ) -> Result<VerdictEvent, StoreError> {
        let sightings = self.sightings(change, image).await?;
        let reasons = self.reasons(change).await?;
        Ok(event(&self.source, change, places(&sightings), &reasons))
    }

    /// Where the image was seen. Of an index the registry may have announced nothing but the index, so its images
    /// are first seen here: where their job says.
    async fn sightings(
        &self,
        change: &Change,
        image: Option<&ImageName>,
    ) -> Result<Vec<Sighting>, StoreError> {
        let seen = match self.store.sightings(&change.digest).await {
            // The change is told all the same, without them.
            Err(StoreError::Unreadable { .. }) => Vec::new(),
            other => other?,
        };
        match image {
            Some(image) if seen.is_empty() => {
                let sighting = Sighting { image: image.clone(), tag: None, seen_at: change.at };
                self.store.record_sighting(&change.digest, &sighting).await?;
                Ok(vec![sighting])
            }
            Some(_) | None => Ok(seen),
        }
    }

    /// The reasons behind the change, and how many more there are, if its verdict still stands.
    async fn reasons(&self, change: &Change) -> Result<(Vec<Reason>, u32), StoreError> {
        let found = self.store.lookup(std::slice::from_ref(&change.digest), &change.policy).await;
        let found = match found {
            Err(StoreError::Unreadable { .. }) => Vec::new(),
            other => other?,
        };
        Ok(match found.into_iter().next() {
            Some(Lookup::Known(verdict)) if verdict.as_of == change.at => {
                (verdict.reasons.clone(), verdict.further_reasons)
            }
            Some(Lookup::Known(_) | Lookup::Pending(_) | Lookup::Unknown) | None => (Vec::new(), 0),
        })
    }
}

/// The event, from everything that is known.
fn event(
    source: &str,
    change: &Change,
    places: Vec<EventPlace>,
    (reasons, further): &(Vec<Reason>, u32),
) -> VerdictEvent {
    let newest = places.first();
    let subject = newest.map_or_else(|| change.digest.to_string(), |place| place.image().at(&change.digest));
    let told: Vec<EventReason> = reasons.iter().take(VerdictEvent::MOST_REASONS).map(shortened).collect();
    let left_out = u32::try_from(reasons.len() - told.len()).unwrap_or(u32::MAX);
    VerdictEvent {
        specversion: SpecVersion::V1,
        id: identity(change),
        source: source.to_owned(),
        kind: VERDICT_CHANGED.to_owned(),
        subject,
        time: change.at,
        datacontenttype: "application/json".to_owned(),
        data: VerdictChanged {
            registry: newest.map(|place| place.registry.clone()),
            repository: newest.map(|place| place.repository.clone()),
            digest: change.digest.clone(),
            tags: newest.map(|place| place.tags.clone()).unwrap_or_default(),
            policy: change.policy.clone(),
            mode: change.mode,
            verdict: change.to,
            previous: change.from.into(),
            cause: change.cause,
            counts: change.counts.into(),
            reasons: told,
            further_reasons: further.saturating_add(left_out),
            appeared: change.appeared.iter().map(|message| cut(message)).collect(),
            settled: change.settled.iter().map(|message| cut(message)).collect(),
            report_uri: format!("{source}/v1/reports/{}", change.digest),
            places,
        },
    }
}

/// The same for every repetition of a change, wherever it is read from: in the feed and in the history of
/// its digest it has different places, but one judgement of one digest is made only once.
fn identity(change: &Change) -> String {
    let about = format!("{} {} {} {}", change.digest, change.policy, change.at, change.to);
    hex::encode(&Sha256::digest(about.as_bytes())[..16])
}

/// Where an image was seen, one row a repository, newest first.
fn places(sightings: &[Sighting]) -> Vec<EventPlace> {
    let mut places: Vec<EventPlace> = Vec::new();
    for sighting in sightings {
        let known = places.iter().position(|place| place.image() == sighting.image);
        match known {
            Some(at) if places[at].tags.len() < VerdictEvent::MOST_TAGS => {
                places[at].tags.extend(sighting.tag.clone());
            }
            None if places.len() < VerdictEvent::MOST_PLACES => {
                places.push(place(&sighting.image, sighting.tag.iter().cloned().collect()));
            }
            Some(_) | None => {}
        }
    }
    places
}

fn place(image: &ImageName, tags: Vec<Tag>) -> EventPlace {
    EventPlace { registry: image.registry.clone(), repository: image.repository.clone(), tags }
}

fn shortened(reason: &Reason) -> EventReason {
    let reason = EventReason::from(reason);
    EventReason { message: cut(&reason.message), ..reason }
}

fn cut(text: &str) -> String {
    if text.len() <= LONGEST_MESSAGE {
        return text.to_owned();
    }
    let end = (0..=LONGEST_MESSAGE).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announce::sample;
    use crate::model::verdict::{Effect, Outcome};

    fn sighting(image: &str, tag: &str) -> Sighting {
        Sighting {
            image: image.parse().unwrap(),
            tag: (!tag.is_empty()).then(|| tag.parse().unwrap()),
            seen_at: sample::at(),
        }
    }

    fn reason(message: &str) -> Reason {
        Reason {
            rule: "fixable".to_owned(),
            effect: Effect::Deny,
            message: message.to_owned(),
            advisory: Some("CVE-2023-4911".to_owned()),
            severity: None,
            purl: None,
            fixed_version: Some("2.36-9+deb12u3".to_owned()),
            problem: None,
        }
    }

    #[test]
    fn an_image_is_named_by_where_it_was_seen_last_and_by_every_other_place() {
        let seen = [
            sighting("r.io/team/app", "1.4.2"),
            sighting("mirror.io/team/app", ""),
            sighting("r.io/team/app", "latest"),
        ];
        let places = places(&seen);
        let event = event("https://t.example.com", &sample::change(), places, &(Vec::new(), 0));
        assert_eq!(event.subject, format!("r.io/team/app@{}", sample::digest()));
        assert_eq!(event.data.tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["1.4.2", "latest"]);
        assert_eq!(
            event.images().map(|image| image.to_string()).collect::<Vec<_>>(),
            ["r.io/team/app", "mirror.io/team/app"]
        );
        assert_eq!(event.data.report_uri, format!("https://t.example.com/v1/reports/{}", sample::digest()));
    }

    #[test]
    fn an_image_that_was_seen_nowhere_has_only_a_digest() {
        let event = event("https://t.example.com", &sample::change(), places(&[]), &(Vec::new(), 0));
        assert_eq!((event.subject, event.data.registry), (sample::digest().to_string(), None));
    }

    #[test]
    fn an_event_is_bounded_whatever_the_verdict_says() {
        let reasons = vec![reason(&"ü".repeat(4000)); 20];
        let seen: Vec<_> =
            (0..200).map(|n| sighting(&format!("r.io/team/app{}", n % 40), &format!("v{n}"))).collect();
        let event = event("https://t.example.com", &sample::change(), places(&seen), &(reasons, 7));
        assert_eq!((event.data.reasons.len(), event.data.further_reasons), (VerdictEvent::MOST_REASONS, 22));
        assert_eq!(event.data.places.len(), VerdictEvent::MOST_PLACES);
        assert!(event.to_json().len() < 16 << 10, "{}", event.to_json().len());
    }

    #[test]
    fn the_same_change_has_the_same_id_and_another_one_has_another() {
        let change = sample::change();
        assert_eq!(identity(&change), identity(&change.clone()));
        assert_ne!(identity(&change), identity(&Change { to: Outcome::Warn, ..change.clone() }));
        assert_ne!(identity(&change), identity(&Change { policy: "prod".parse().unwrap(), ..change }));
    }
}
