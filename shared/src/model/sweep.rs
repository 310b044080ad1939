//! Sweeps: a registry compared with what is known, piece by piece.
//!
//! One sweep is one job at a time. The job carries everything that the sweep has found out so far, does one
//! bounded piece, and publishes its successor before it is settled. So losing the store loses nothing (I13), a
//! process that dies repeats at most one piece, no two processes count at once, and the registry hears
//! one sweep, not as many as there are workers.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::bookmark::Bookmark;
use super::image::{RegistryHost, Repository};

/// Identity of one sweep; time-ordered.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct SweepId(Uuid);

impl SweepId {
    /// A fresh identity.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for SweepId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for SweepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SweepId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Who wanted a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Somebody asked for it.
    Request,
    /// It was time.
    Schedule,
}

/// A sweep on its way: what the next piece is, and what came before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// Its identity.
    pub id: SweepId,
    /// Which registry, by its canonical host.
    pub registry: RegistryHost,
    /// Only this repository; the whole registry where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// Who wanted it.
    pub trigger: Trigger,
    /// When it was accepted.
    pub started_at: Timestamp,
    /// How many pieces came before.
    pub step: u32,
    /// What comes next.
    pub piece: Piece,
    /// What came out so far.
    pub tally: Tally,
    /// How often in a row the registry could not be asked.
    #[serde(default)]
    pub setbacks: u32,
    /// The registry is left alone until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest_until: Option<Timestamp>,
}

/// One bounded piece of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Piece {
    /// Find out which repositories there are: one page.
    Catalogue {
        /// Which page.
        at: Bookmark,
    },
    /// Compare the tags of one repository: one page.
    Tags {
        /// Which repository.
        repository: Repository,
        /// Which page.
        at: Bookmark,
        /// The repositories after it, of the same page of the catalogue.
        rest: Vec<Repository>,
        /// The next page of the catalogue, if there is one.
        catalogue: Option<Bookmark>,
    },
}

/// What a sweep has found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Tally {
    /// Repositories that were listed.
    pub repositories_seen: u64,
    /// Repositories of which every tag was compared, or which could not be.
    pub repositories_done: u64,
    /// Tags that were listed.
    pub tags: u64,
    /// Digests that nothing was known about: queued to be scanned.
    pub enqueued: u64,
    /// Tags of digests that were known, or queued, already.
    pub known: u64,
    /// Tags of signatures, attestations and referrers lists, and tags that were gone when they were asked for.
    pub skipped: u64,
    /// What could not be compared, and why; at most [`Tally::MOST_ERRORS`].
    pub errors: Vec<SweepError>,
    /// How many further errors there were.
    pub further_errors: u64,
}

/// Something that a sweep could not compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SweepError {
    /// Which repository; none if it is the catalogue itself.
    #[serde(default)]
    pub repository: Option<Repository>,
    /// Why, and what to do about it.
    pub reason: String,
}

impl Tally {
    /// The most errors that are kept.
    pub const MOST_ERRORS: usize = 20;
    /// The longest reason that is kept, in characters.
    const LONGEST_REASON: usize = 500;

    /// Keeps an error, or counts it where there are many.
    pub fn trouble(&mut self, repository: Option<Repository>, reason: &str) {
        if self.errors.len() < Self::MOST_ERRORS {
            let reason = reason.chars().take(Self::LONGEST_REASON).collect();
            self.errors.push(SweepError { repository, reason });
        } else {
            self.further_errors += 1;
        }
    }
}

impl Sweep {
    /// A sweep that has not begun.
    pub fn new(
        registry: RegistryHost,
        repository: Option<Repository>,
        trigger: Trigger,
        now: Timestamp,
    ) -> Self {
        let mut tally = Tally::default();
        let piece = match &repository {
            None => Piece::Catalogue { at: Bookmark::default() },
            Some(repository) => {
                tally.repositories_seen = 1;
                let repository = repository.clone();
                Piece::Tags { repository, at: Bookmark::default(), rest: Vec::new(), catalogue: None }
            }
        };
        Self {
            id: SweepId::new(),
            registry,
            repository,
            trigger,
            started_at: now,
            step: 0,
            piece,
            tally,
            setbacks: 0,
            rest_until: None,
        }
    }

    /// What it is about, for people.
    pub fn subject(&self) -> String {
        match (&self.repository, &self.piece) {
            (Some(repository), _) | (None, Piece::Tags { repository, .. }) => {
                format!("sweep of {}/{repository}", self.registry)
            }
            (None, Piece::Catalogue { .. }) => format!("sweep of {}", self.registry),
        }
    }

    /// The sweep after a page of the catalogue; `None` if that was all.
    #[must_use]
    pub fn after_catalogue(mut self, found: Vec<Repository>, catalogue: Option<Bookmark>) -> Onward {
        self.tally.repositories_seen += found.len() as u64;
        self.onward(found, catalogue)
    }

    /// The sweep after a page of tags; `tags` is the next page of the same repository, if there is one.
    #[must_use]
    pub fn after_tags(mut self, tags: Option<Bookmark>) -> Onward {
        match (std::mem::replace(&mut self.piece, Piece::Catalogue { at: Bookmark::default() }), tags) {
            (Piece::Tags { repository, rest, catalogue, .. }, Some(at)) => {
                self.piece = Piece::Tags { repository, at, rest, catalogue };
                Onward::More(self.stepped())
            }
            (Piece::Tags { rest, catalogue, .. }, None) => {
                self.tally.repositories_done += 1;
                self.onward(rest, catalogue)
            }
            (Piece::Catalogue { .. }, _) => self.onward(Vec::new(), None),
        }
    }

    /// The same piece again after a rest.
    #[must_use]
    pub fn after_rest(mut self, until: Timestamp) -> Self {
        self.setbacks += 1;
        self.rest_until = Some(until);
        self.step += 1;
        self
    }

    fn onward(mut self, mut repositories: Vec<Repository>, catalogue: Option<Bookmark>) -> Onward {
        self.piece = match (repositories.is_empty(), catalogue) {
            (true, None) => return Onward::Finished(self.stepped()),
            (true, Some(at)) => Piece::Catalogue { at },
            (false, catalogue) => {
                let repository = repositories.remove(0);
                Piece::Tags { repository, at: Bookmark::default(), rest: repositories, catalogue }
            }
        };
        Onward::More(self.stepped())
    }

    fn stepped(mut self) -> Self {
        self.step += 1;
        self.setbacks = 0;
        self.rest_until = None;
        self
    }
}

/// Whether there is more to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Onward {
    /// This is what.
    More(Sweep),
    /// Nothing: this is what came out.
    Finished(Sweep),
}

/// How far a sweep is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SweepState {
    /// It is on its way.
    Running,
    /// The registry wants to be left alone, or cannot be reached.
    Resting {
        /// Until then.
        #[schema(value_type = String, format = DateTime)]
        until: Timestamp,
        /// What stands in the way.
        #[serde(default)]
        because: String,
    },
    /// Everything was compared, but for what is listed under `errors`.
    Finished {
        /// When.
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
    },
}

/// What people see of a sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Progress {
    /// Its identity.
    pub id: SweepId,
    /// Which registry.
    pub registry: RegistryHost,
    /// Only this repository.
    #[serde(default)]
    pub repository: Option<Repository>,
    /// Who wanted it.
    pub trigger: Trigger,
    /// How far it is.
    #[serde(flatten)]
    pub state: SweepState,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When this was written.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// How many pieces are done.
    pub step: u32,
    /// What came out so far.
    #[serde(flatten)]
    pub tally: Tally,
}

impl Progress {
    /// What people see of `sweep` now.
    pub fn of(sweep: &Sweep, state: SweepState, now: Timestamp) -> Self {
        Self {
            id: sweep.id,
            registry: sweep.registry.clone(),
            repository: sweep.repository.clone(),
            trigger: sweep.trigger,
            state,
            started_at: sweep.started_at,
            as_of: now,
            step: sweep.step,
            tally: sweep.tally.clone(),
        }
    }

    /// Whether nothing more will come.
    pub fn is_over(&self) -> bool {
        match self.state {
            SweepState::Finished { .. } => true,
            SweepState::Running | SweepState::Resting { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repositories(names: &[&str]) -> Vec<Repository> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn more(onward: Onward) -> Sweep {
        match onward {
            Onward::More(sweep) => sweep,
            Onward::Finished(sweep) => panic!("finished: {sweep:?}"),
        }
    }

    #[test]
    fn a_sweep_visits_every_repository_of_every_page_once() {
        let start = Sweep::new("r.io".parse().unwrap(), None, Trigger::Request, Timestamp::UNIX_EPOCH);
        let second_page = Bookmark::default().further(2, "b").unwrap();
        let sweep = more(start.after_catalogue(repositories(&["a", "b"]), Some(second_page.clone())));
        assert_eq!(sweep.subject(), "sweep of r.io/a");
        let tags = Bookmark::default().further(50, "v50").unwrap();
        let sweep = more(sweep.after_tags(Some(tags)));
        assert_eq!((sweep.subject().as_str(), sweep.tally.repositories_done), ("sweep of r.io/a", 0));
        let sweep = more(more(sweep.after_tags(None)).after_tags(None));
        assert_eq!(sweep.piece, Piece::Catalogue { at: second_page });
        let sweep = more(sweep.after_catalogue(repositories(&["c"]), None));
        let Onward::Finished(sweep) = sweep.after_tags(None) else { panic!("there is nothing more") };
        assert_eq!((sweep.tally.repositories_seen, sweep.tally.repositories_done), (3, 3));
    }

    #[test]
    fn an_empty_registry_is_swept_at_once() {
        let start = Sweep::new("r.io".parse().unwrap(), None, Trigger::Schedule, Timestamp::UNIX_EPOCH);
        assert!(matches!(start.after_catalogue(Vec::new(), None), Onward::Finished(_)));
    }

    #[test]
    fn a_rest_changes_nothing_but_the_time_and_success_forgets_it() {
        let start = Sweep::new("r.io".parse().unwrap(), None, Trigger::Request, Timestamp::UNIX_EPOCH);
        let rested = start.clone().after_rest(Timestamp::MAX);
        assert_eq!((&rested.piece, rested.step, rested.setbacks), (&start.piece, 1, 1));
        let sweep = more(rested.after_catalogue(repositories(&["a"]), None));
        assert_eq!((sweep.setbacks, sweep.rest_until), (0, None));
    }

    #[test]
    fn errors_are_bounded_and_the_rest_is_counted() {
        let mut tally = Tally::default();
        for _ in 0..25 {
            tally.trouble(None, &"x".repeat(10_000));
        }
        assert_eq!((tally.errors.len(), tally.further_errors), (20, 5));
        assert_eq!(tally.errors[0].reason.len(), 500);
    }
}
