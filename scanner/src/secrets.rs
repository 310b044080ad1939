//! Secrets: what gives access to something and lies in an image where everybody who can pull it can read it.
//!
//! Every byte of every layer is searched once, whether a later layer hides it or not: bytes of lower layers can be
//! downloaded. The way of a file: `readable` (where programs
//! have text) → `prefilter` (a few selective literals, as fast as memory) → `guard` (what
//! is quickly seen) → `rule` (a regular expression around each literal, in linear time) → `check` (checksums, structure, entropy) → `placeholder` (values that
//! documentation made famous; `published` are keys that libraries did) → a [`FoundObservation`] with a mask and a keyed hash. The secret itself is
//! never kept, logged or printed.
//!
//! `search` is one file; `client_file`, `assignment` and `named_file` what its name makes of it; `nested` what is
//! packed inside of files; `settings` the image's config and history;
//! `rules` the tables, one file a family; `own` the rules that a site adds.

use std::sync::{Arc, LazyLock};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use shared::model::observation::ObservationKind;

use crate::analyzers::FoundObservation;
use prefilter::Prefilter;
use rule::{CompiledRule, Kind, Reach, Surroundings};

mod assignment;
mod aws;
mod check;
mod client_file;
mod command_line;
mod guard;
mod named_file;
mod nested;
mod own;
mod placeholder;
mod prefilter;
mod published;
mod readable;
mod rule;
mod rules;
mod search;
mod settings;

pub use own::{OwnRules, OwnRulesError};
pub use search::{Cut, Extent, Memory, Search, Searched};
pub use settings::Described;

/// Raised whenever the same bytes could give another result (I6).
const VERSION: u32 = 10;

/// What fingerprints are made with.
#[derive(Clone, Copy)]
pub enum Key<'k> {
    /// That of sites that configure none. It keeps hashes apart from other uses of SHA-256, no more.
    Public,
    /// The site's own, of any length: nobody without it can tell what a fingerprint is of by trying.
    Site(&'k [u8]),
}

/// Who knows all rules, and the site's key.
pub struct Secrets {
    rules: Vec<CompiledRule>,
    /// What is looked for in programs, where they have text.
    in_text: Prefilter,
    /// What is looked for in every byte of them.
    anywhere: Prefilter,
    /// What is only looked for in texts.
    in_texts_only: Prefilter,
    key: Vec<u8>,
}

static BUILT_IN: LazyLock<Arc<Secrets>> =
    LazyLock::new(|| Arc::new(Secrets::new(Key::Public, OwnRules::default())));

impl Secrets {
    /// The built-in rules under the public key.
    pub fn built_in() -> Arc<Self> {
        Arc::clone(&BUILT_IN)
    }

    /// The built-in rules, and those of the site.
    pub fn new(key: Key<'_>, own: OwnRules) -> Self {
        let key = match key {
            Key::Public => b"tidewaiter secrets",
            Key::Site(key) => key,
        };
        let built_in =
            rules::all().map(|rule| CompiledRule::new(rule).expect("built-in expressions are tested"));
        let rules: Vec<CompiledRule> = built_in.chain(own.into_rules()).collect();
        let everywhere = |surroundings| {
            Prefilter::new(&rules, |rule| {
                rule.reach == Reach::Everywhere && rule.surroundings == surroundings
            })
        };
        let (in_text, anywhere) = (everywhere(Surroundings::Text), everywhere(Surroundings::Any));
        let in_texts_only = Prefilter::new(&rules, |rule| rule.reach == Reach::Texts);
        Self { rules, in_text, anywhere, in_texts_only, key: key.to_vec() }
    }

    /// What decides about the findings, for the analyzer revision (I6): the rules, and which key it is.
    pub(crate) fn revision(&self) -> String {
        let rules: Vec<&str> = self.rules.iter().map(|rule| rule.revision.as_str()).collect();
        format!("secrets {VERSION} key {} rules {}", self.fingerprint(b"which key"), rules.join(","))
    }

    /// The same secret at another place has the same one; nobody else learns anything from it.
    fn fingerprint(&self, secret: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(secret);
        hex::encode(&mac.finalize().into_bytes()[..16])
    }

    /// Calls `hit` for every secret whose literal begins in `text[from..to]`: the rule, from where, to where. What
    /// reaches texts only is looked for where `reach` says that it is one.
    fn hits(
        &self,
        text: &[u8],
        (from, to): (usize, usize),
        reach: Reach,
        hit: &mut dyn FnMut(Kind<'_>, usize, usize),
    ) {
        let mut candidate = |position: usize, rules: &[usize]| {
            for number in rules {
                let rule = &self.rules[*number];
                if let Some((begin, end)) = rule.find(text, position)
                    && !placeholder::is_placeholder(&text[begin..end])
                    && rule.check.holds(&text[begin..end])
                {
                    hit(rule.kind(), begin, end);
                }
            }
        };
        self.anywhere.candidates(text, from, to, &mut candidate);
        match reach {
            Reach::Everywhere => readable::parts(text, from, to, &mut |begin, end| {
                self.in_text.candidates(text, begin, end, &mut candidate);
            }),
            Reach::Texts => {
                self.in_text.candidates(text, from, to, &mut candidate);
                self.in_texts_only.candidates(text, from, to, &mut candidate);
            }
        }
    }

    /// The text with a mask in the place of every secret.
    pub fn without_secrets(&self, text: &str) -> String {
        let mut places: Vec<(usize, usize)> = Vec::new();
        let bytes = text.as_bytes();
        self.hits(bytes, (0, bytes.len()), Reach::Texts, &mut |_, begin, end| places.push((begin, end)));
        assignment::places(bytes, &mut |begin, end| places.push((begin, end)));
        command_line::places(bytes, &mut |begin, end| places.push((begin, end)));
        places.sort_unstable();
        let (mut shown, mut at) = (String::new(), 0);
        for place in united(places) {
            shown.push_str(&String::from_utf8_lossy(&bytes[at..place.0]));
            shown.push_str(&masked(&bytes[place.0..place.1]));
            at = place.1;
        }
        shown.push_str(&String::from_utf8_lossy(&bytes[at..]));
        shown
    }

    /// The observation of a hit.
    fn observation(&self, kind: Kind<'_>, secret: &[u8], line: Option<u32>) -> FoundObservation {
        FoundObservation {
            rule: kind.id.to_owned(),
            kind: ObservationKind::Secret,
            severity: kind.severity,
            title: title(kind, secret),
            remediation: REMEDIATION.to_owned(),
            inner_path: None,
            line,
            masked: Some(masked(secret)),
            fingerprint: Some(self.fingerprint(secret)),
            controls: vec!["CIS-DI-4.10".to_owned()],
        }
    }
}

/// What a kind of secret is called, and whose this one is where it says so.
fn title(kind: Kind<'_>, secret: &[u8]) -> String {
    let account = if kind.id == aws::KEY_ID { aws::account(secret) } else { None };
    match account {
        Some(account) => format!("{}, of account {account}", kind.title),
        None => kind.title.to_owned(),
    }
}

const REMEDIATION: &str = "Revoke it: whoever could pull the image has it. Then build without it, with a build \
                           secret or at run time; deleting it in a later layer hides nothing.";

/// Sorted places, those that overlap made one: a key may lie inside of an assignment.
fn united(places: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    let mut united: Vec<(usize, usize)> = Vec::new();
    for (begin, end) in places {
        match united.last_mut() {
            Some(last) if begin < last.1 => last.1 = last.1.max(end),
            _ => united.push((begin, end)),
        }
    }
    united
}

/// The first characters and the length: enough to recognise one's own, too little to use it.
fn masked(secret: &[u8]) -> String {
    /// Of shorter ones nothing is shown: four characters would be too much of them.
    const LONG_ENOUGH: usize = 16;
    let shown: String = match secret.len() {
        LONG_ENOUGH.. => String::from_utf8_lossy(&secret[..4])
            .chars()
            .map(|character| if character.is_ascii_graphic() { character } else { '.' })
            .collect(),
        _ => String::new(),
    };
    format!("{shown}… ({} characters)", secret.len())
}

#[cfg(test)]
mod tests;
