//! The first look: where in a block could anything be? One pass of vector instructions over a few literals.

use std::collections::BTreeMap;

use aho_corasick::Span;
use aho_corasick::packed::{Config, MatchKind, Searcher};

use super::rule::CompiledRule;

/// More literals than this in one searcher, and false candidates make it slower than a second one would be; measured.
const MOST_IN_ONE: usize = 40;
/// A searcher looks for so many sets of literals at once, and takes for a candidate what looks like any mixture of
/// those in a set.
const SETS: usize = 8;
/// Literals of so many bytes are hardly ever met by chance.
const SELECTIVE: usize = 4;

/// All literals of all rules.
pub(super) struct Prefilter {
    groups: Vec<Group>,
}

struct Group {
    searcher: Searcher,
    /// How many bytes its longest literal has.
    longest: usize,
    /// By pattern: positions of rules.
    rules: Vec<Vec<usize>>,
}

impl Prefilter {
    /// Of some of the rules.
    pub(super) fn new(rules: &[CompiledRule], wanted: impl Fn(&CompiledRule) -> bool) -> Self {
        let mut by_literal: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (position, rule) in rules.iter().enumerate().filter(|(_, rule)| wanted(rule)) {
            for literal in &rule.literals {
                by_literal.entry(literal).or_default().push(position);
            }
        }
        // Of two literals that begin alike only the shorter one can be reported: it stands for both.
        let mut reported: Vec<(&str, Vec<usize>)> = Vec::new();
        for (literal, positions) in by_literal {
            match reported.last_mut() {
                Some((shorter, all)) if literal.starts_with(*shorter) => all.extend(positions),
                _ => reported.push((literal, positions)),
            }
        }
        // A searcher looks at as many bytes at a time as its shortest literal has, at most four.
        let (short, long): (Vec<_>, Vec<_>) =
            reported.into_iter().partition(|(literal, _)| literal.len() < SELECTIVE);
        // All of about one size.
        let groups = [short, long].into_iter().flat_map(|literals| {
            let searchers = literals.len().div_ceil(MOST_IN_ONE).max(1);
            let each = literals.len().div_ceil(searchers).max(1);
            literals.chunks(each).map(Group::new).collect::<Vec<_>>()
        });
        Self { groups: groups.collect() }
    }

    /// Calls `candidate` with every position of `text` in `from..to` at which a literal of a rule begins, and the rules.
    pub(super) fn candidates(
        &self,
        text: &[u8],
        from: usize,
        to: usize,
        candidate: &mut dyn FnMut(usize, &[usize]),
    ) {
        for group in &self.groups {
            // Not to the end of the text: what comes next may be far behind a short part.
            let end = text.len().min(to.saturating_add(group.longest));
            let mut start = from;
            while let Some(found) =
                group.searcher.find_in(text, Span { start, end }).filter(|found| found.start() < to)
            {
                candidate(found.start(), &group.rules[found.pattern()]);
                // Another literal may begin inside this one.
                start = found.start() + 1;
            }
        }
    }
}

impl Group {
    fn new(literals: &[(&str, Vec<usize>)]) -> Self {
        let literals = by_sets(literals);
        // Twice as many sets at half the speed, which it would take for more than 32, are slower here.
        let mut config = Config::new();
        config.match_kind(MatchKind::LeftmostFirst).only_teddy_fat(Some(false));
        let mut builder = config.builder();
        builder.extend(literals.iter().map(|(literal, _)| literal.as_bytes()));
        let searcher = builder.build().expect("there are few literals, and none is empty");
        let longest = literals.iter().map(|(literal, _)| literal.len()).max().unwrap_or_default();
        Self { searcher, longest, rules: literals.iter().map(|(_, rules)| rules.clone()).collect() }
    }
}

/// Sorted literals in an order that puts neighbours, which look alike, into one set: the searcher deals them out in turn.
fn by_sets<T>(literals: &[T]) -> Vec<&T> {
    let (each, more) = (literals.len() / SETS, literals.len() % SETS);
    let begin = |set: usize| set * each + set.min(more);
    let turns = (0..=each).flat_map(|turn| (0..SETS).map(move |set| (turn, set)));
    turns
        .filter(|(turn, set)| begin(*set) + turn < begin(set + 1))
        .map(|(turn, set)| &literals[begin(set) + turn])
        .collect()
}
