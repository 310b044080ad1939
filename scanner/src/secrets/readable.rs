//! Where in a program is anything that people can read? Tokens that were compiled in are text among machine code and
//! tables, and those are most of a program: a rule whose literals stand in enough text is looked for nowhere else.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::rule::{Rule, Span};

/// So many readable bytes have a whole [`BLOCK`] among them, wherever they begin.
const ENOUGH: usize = 2 * BLOCK - 1;
/// Readable or not as a whole. Among bytes at random one in some thousands is.
const BLOCK: usize = 8;
/// What is searched or not as a whole: fewer and larger parts cost less to begin with.
const TILE: usize = 256;

/// Whether the literals of a rule stand in text in all of its matches.
pub(super) fn stands_in_text(rule: &Rule<'_>) -> bool {
    let matched = Beginning::of_pattern(rule.pattern);
    let begins_with_text = matched.least >= ENOUGH;
    match rule.span {
        Span::Begins(_) => begins_with_text,
        Span::Covers(..) => {
            let is_text = |literal: &&str| literal.len() >= ENOUGH && literal.bytes().all(is_readable);
            (begins_with_text && matched.whole) || rule.literals.iter().all(is_text)
        }
    }
}

/// Calls `part` with the parts of `from..to` in which everything lies that stands in text.
pub(super) fn parts(text: &[u8], from: usize, to: usize, part: &mut dyn FnMut(usize, usize)) {
    let mut open: Option<(usize, usize)> = None;
    // The readable block may lie before or behind what stands beside it.
    let tiles = from.saturating_sub(ENOUGH) / TILE..to.saturating_add(BLOCK).min(text.len()).div_ceil(TILE);
    for tile in tiles.map(|tile| tile * TILE) {
        let end = text.len().min(tile + TILE);
        if !has_readable_block(&text[tile..end]) {
            continue;
        }
        let (start, end) = (tile.saturating_sub(BLOCK).max(from), (end + BLOCK).min(to));
        match &mut open {
            Some((_, last)) if *last >= start => *last = end,
            _ if start >= end => {}
            _ => {
                if let Some((begin, last)) = open.replace((start, end)) {
                    part(begin, last);
                }
            }
        }
    }
    if let Some((begin, last)) = open {
        part(begin, last);
    }
}

fn has_readable_block(tile: &[u8]) -> bool {
    // In steps that compilers make vector instructions of.
    let mut readable = [0; TILE];
    for (flag, byte) in readable.iter_mut().zip(tile) {
        *flag = u8::from(is_readable(*byte));
    }
    let (blocks, _) = readable.as_chunks::<BLOCK>();
    blocks.iter().fold(false, |any, block| any | (*block == [1; BLOCK]))
}

/// ASCII with a shape, blanks, tabs and ends of lines.
const fn is_readable(byte: u8) -> bool {
    // Not short-circuiting: there must be no branch for every byte.
    (byte.wrapping_sub(b' ') < 0x5f) | (byte.wrapping_sub(b'\t') < 5)
}

/// What every match of an expression begins with.
#[derive(Clone, Copy)]
struct Beginning {
    /// Readable bytes, at least.
    least: usize,
    /// Whether there is nothing else in it.
    whole: bool,
}

impl Beginning {
    const NOTHING: Self = Self { least: 0, whole: true };
    const UNREADABLE: Self = Self { least: 0, whole: false };

    /// Nothing, for what is no pattern.
    fn of_pattern(pattern: &str) -> Self {
        let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
        parsed.map_or(Self::UNREADABLE, |pattern| Self::of(&pattern))
    }

    fn of(pattern: &Hir) -> Self {
        match pattern.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::NOTHING,
            HirKind::Literal(literal) => {
                let least = literal.0.iter().take_while(|byte| is_readable(**byte)).count();
                Self { least, whole: least == literal.0.len() }
            }
            HirKind::Class(class) if is_readable_class(class) => Self { least: 1, whole: true },
            HirKind::Class(_) => Self::UNREADABLE,
            HirKind::Repetition(repeated) => {
                let once = Self::of(&repeated.sub);
                let times = if once.whole { repeated.min as usize } else { repeated.min.min(1) as usize };
                Self { least: once.least.saturating_mul(times), whole: once.whole }
            }
            HirKind::Capture(group) => Self::of(&group.sub),
            HirKind::Concat(parts) => parts.iter().map(Self::of).fold(Self::NOTHING, Self::then),
            HirKind::Alternation(ways) => ways.iter().map(Self::of).reduce(Self::or).unwrap_or(Self::NOTHING),
        }
    }

    fn then(self, next: Self) -> Self {
        match self.whole {
            true => Self { least: self.least.saturating_add(next.least), whole: next.whole },
            false => self,
        }
    }

    fn or(self, other: Self) -> Self {
        Self { least: self.least.min(other.least), whole: self.whole && other.whole }
    }
}

fn is_readable_class(class: &Class) -> bool {
    match class {
        Class::Bytes(class) => {
            class.ranges().iter().all(|range| (range.start()..=range.end()).all(is_readable))
        }
        Class::Unicode(class) => class.ranges().iter().all(|range| {
            range.end().is_ascii() && (range.start()..=range.end()).all(|one| is_readable(one as u8))
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_that_every_match_begins_with_is_known() {
        for (pattern, expected) in [
            ("ghp_[A-Za-z0-9]{36}", 40),
            ("(AIza[A-Za-z0-9_-]{35})(?:[^A-Za-z0-9_-]|$)", 39),
            (r"gl(?:pat|rt)-[a-z]{20,}(?:\.x){0,3}", 25),
            (r"\bkey: .*?[a-z]{30}", 5),
            (r"key:\s+[a-z]{3}", 8),
            ("(?i)ab?c{2}", 3),
            ("[^a]b", 0),
            ("a\\x00b", 1),
            ("(?:a.){3}", 1),
            ("(", 0),
        ] {
            assert_eq!(Beginning::of_pattern(pattern).least, expected, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn what_stands_in_text_lies_in_a_part(
            mut text in proptest::collection::vec(any::<u8>(), 0..2000),
            at: prop::sample::Index,
            length in ENOUGH..40,
            from: prop::sample::Index,
            to: prop::sample::Index,
        ) {
            let at = at.index(text.len() + 1);
            text.splice(at..at, std::iter::repeat_n(b'x', length));
            let (from, to) = (from.index(text.len() + 1), to.index(text.len() + 1));
            let mut found = Vec::new();
            parts(&text, from, to, &mut |begin, end| found.push(begin..end));
            prop_assert!(found.iter().all(|part| from <= part.start && part.start < part.end && part.end <= to));
            prop_assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start));
            for literal in (at..at + length).filter(|literal| (from..to).contains(literal)) {
                prop_assert!(found.iter().any(|part| part.contains(&literal)), "{} in {:?}", literal, found);
            }
        }
    }
}
