//! What one rule is: literals that a hit must contain, the expression that finds it, and what it must be like.

use regex::bytes::{Regex, RegexBuilder};
use shared::model::report::{Revision, Severity};

use super::check::Check;
use super::guard::Guard;
use super::readable;

/// What a report says about a hit.
#[derive(Clone, Copy)]
pub(super) struct Kind<'r> {
    /// Stable: `TW-SEC-GITHUB-TOKEN`.
    pub(super) id: &'r str,
    /// One line for people.
    pub(super) title: &'r str,
    pub(super) severity: Severity,
}

/// One kind of secret, and how it is found.
#[derive(Clone, Copy)]
pub(super) struct Rule<'r> {
    pub(super) kind: Kind<'r>,
    /// One of them is in every hit, in this very case. At least four bytes
    /// where the rule reaches everywhere: they are looked for in every byte.
    pub(super) literals: &'r [&'r str],
    /// Finds the secret around a literal; its first group is the secret itself. Bytes, no Unicode. `span` bounds
    /// it: an upper bound of a repetition would only make a large automaton.
    pub(super) pattern: &'r str,
    /// What is looked at before the pattern.
    pub(super) guard: Guard,
    /// Where it stands to the literal.
    pub(super) span: Span,
    /// In which files it is looked for.
    pub(super) reach: Reach,
    /// What a match must be besides.
    pub(super) check: Check,
}

/// In which files a rule is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// In all: its form is so special that a hit in a program is a token that was compiled in.
    Everywhere,
    /// In texts only.
    Texts,
}

/// Where in a program a rule's matches can lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surroundings {
    /// Where there is text: its literals stand in some.
    Text,
    /// Anywhere.
    Any,
}

/// Where a match stands to the literal that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// It begins with the literal, as a word does, and ends at most so many bytes behind its beginning.
    Begins(usize),
    /// It covers the literal, and lies between so many bytes before and so many behind.
    Covers(usize, usize),
}

/// How far before a literal a match may begin.
pub(super) const BEFORE: usize = 256;
/// How far behind the beginning of a literal a match may end: a private key of 16,384 bits fits.
pub(super) const BEHIND: usize = 16 << 10;

/// A rule whose expression is ready. It owns what it needs: a site's rules come out of a file.
pub(super) struct CompiledRule {
    id: Box<str>,
    title: Box<str>,
    severity: Severity,
    pub(super) literals: Vec<Box<str>>,
    guard: Guard,
    span: Span,
    pub(super) reach: Reach,
    pub(super) surroundings: Surroundings,
    pub(super) check: Check,
    regex: Regex,
    /// For the analyzer revision.
    pub(super) revision: String,
}

/// Expressions are bounded in what they may compile to.
const LARGEST_REGEX: usize = 256 << 10;
/// And in the memory for what each has seen, in every thread: most see a few hundred bytes at a time.
const LARGEST_CACHE: usize = 128 << 10;

impl CompiledRule {
    /// Fails where the pattern is no expression, or compiles to too much.
    pub(super) fn new(rule: Rule<'_>) -> Result<Self, regex::Error> {
        let pattern = match rule.span {
            Span::Begins(_) => format!(r"\A(?:{})", rule.pattern),
            Span::Covers(..) => rule.pattern.to_owned(),
        };
        let regex = RegexBuilder::new(&pattern)
            .unicode(false)
            .size_limit(LARGEST_REGEX)
            .dfa_size_limit(LARGEST_CACHE)
            .build()?;
        let surroundings = match readable::stands_in_text(&rule) {
            true => Surroundings::Text,
            false => Surroundings::Any,
        };
        let Rule { kind: Kind { id, title, severity }, literals, pattern, guard, span, reach, check } = rule;
        let all = format!("{title}{severity}{literals:?}{pattern}{guard:?}{span:?}{reach:?}{check:?}");
        Ok(Self {
            id: id.into(),
            title: title.into(),
            severity,
            literals: literals.iter().map(|literal| Box::from(*literal)).collect(),
            guard,
            span,
            reach,
            surroundings,
            check,
            regex,
            revision: format!("{id}:{}", Revision::of(all.as_bytes())),
        })
    }

    /// What a report says about its hits.
    pub(super) fn kind(&self) -> Kind<'_> {
        Kind { id: &self.id, title: &self.title, severity: self.severity }
    }

    /// Whether its expression is content with nothing at all.
    pub(super) fn matches_nothing(&self) -> bool {
        self.regex.is_match(b"")
    }

    /// The secret that the literal at a position of `text` belongs to: from where to where.
    pub(super) fn find(&self, text: &[u8], literal: usize) -> Option<(usize, usize)> {
        if !self.guard.lets_pass(text, literal) {
            return None;
        }
        let found = match self.span {
            Span::Begins(behind) => self.begins(text, literal, behind),
            Span::Covers(before, behind) => self.covers(text, literal, before, behind),
        };
        // A group may take part in a match with nothing in it.
        found.filter(|(begin, end)| begin < end && !self.is_list(&text[*begin..*end]))
    }

    /// Whether a match is a list of what such tokens begin with: programs that know them have one, with nothing between.
    fn is_list(&self, found: &[u8]) -> bool {
        /// Shorter ones are in tokens by chance.
        const TELLING: usize = 5;
        let mut telling = self.literals.iter().filter(|literal| literal.len() >= TELLING);
        matches!(self.span, Span::Begins(_))
            && telling.any(|literal| memchr::memmem::find(&found[1..], literal.as_bytes()).is_some())
    }

    fn begins(&self, text: &[u8], literal: usize, behind: usize) -> Option<(usize, usize)> {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if text[..literal].last().is_some_and(is_word) {
            return None;
        }
        let end = text.len().min(literal + behind);
        let found = self.regex.captures(&text[literal..end])?;
        let secret = found.get(1).or_else(|| found.get(0))?;
        Some((literal + secret.start(), literal + secret.end()))
    }

    fn covers(&self, text: &[u8], literal: usize, before: usize, behind: usize) -> Option<(usize, usize)> {
        let end = text.len().min(literal + behind);
        let mut from = literal.saturating_sub(before);
        while from <= literal {
            let found = self.regex.find_at(&text[..end], from)?;
            if found.start() > literal {
                return None;
            }
            if found.end() > literal {
                let secret = self.regex.captures_at(&text[..end], from)?.get(1).unwrap_or(found);
                return Some((secret.start(), secret.end()));
            }
            from = found.end().max(from + 1);
        }
        None
    }
}
