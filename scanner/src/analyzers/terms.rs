//! Terms: what lists written in a programming language's own notation consist of. Text in, a bounded tree out.
//!
//! Erlang, Elixir, PHP, Lua, HCL and opam write their lists as literals: quoted texts, words, punctuation and
//! brackets. Which bracket means what is for the reader of the list to know; nothing is evaluated.

use std::borrow::Cow;

use super::lock::Unreadable;

/// The most terms of one file; the largest real lists have a twentieth of this.
const MOST_TERMS: usize = 400_000;
/// How deep brackets may be nested; real lists have a tenth of this.
const DEEPEST: usize = 64;

/// How a language writes texts and comments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notation {
    quotes: &'static [char],
    /// What begins a comment that the line ends.
    line_comments: &'static [&'static str],
    /// What begins and ends a comment of many lines.
    block_comment: Option<(&'static str, &'static str)>,
}

pub(super) const ERLANG: Notation =
    Notation { quotes: &['"', '\''], line_comments: &["%"], block_comment: None };
pub(super) const ELIXIR: Notation =
    Notation { quotes: &['"', '\''], line_comments: &["#"], block_comment: None };
pub(super) const PHP: Notation =
    Notation { quotes: &['"', '\''], line_comments: &["#", "//"], block_comment: Some(("/*", "*/")) };

pub(super) const LUA: Notation =
    Notation { quotes: &['"', '\''], line_comments: &["--"], block_comment: None };
pub(super) const HCL: Notation =
    Notation { quotes: &['"'], line_comments: &["#", "//"], block_comment: Some(("/*", "*/")) };
pub(super) const OPAM: Notation =
    Notation { quotes: &['"'], line_comments: &["#"], block_comment: Some(("(*", "*)")) };

/// One part of a notation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term<'a> {
    /// A quoted text, without quotes and escapes.
    Text(Cow<'a, str>),
    /// A run of letters, digits and `_`.
    Word(&'a str),
    /// Any other character.
    Mark(char),
    /// What stands between an opening bracket, which is given, and its end.
    Group(char, Vec<Term<'a>>),
}

impl<'a> Term<'a> {
    /// The text of a quoted text or of a word.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Word(word) => Some(word),
            Self::Mark(_) | Self::Group(..) => None,
        }
    }

    /// The terms in a group.
    pub(super) fn group(&self) -> Option<&[Term<'a>]> {
        match self {
            Self::Group(_, terms) => Some(terms),
            Self::Text(_) | Self::Word(_) | Self::Mark(_) => None,
        }
    }
}

/// What commas separate in a group.
pub(super) fn elements<'t, 'a>(group: &'t [Term<'a>]) -> impl Iterator<Item = &'t [Term<'a>]> {
    group.split(|term| *term == Term::Mark(',')).filter(|element| !element.is_empty())
}

/// The first text or word of an element: of `:name`, of `<<"name">>`.
pub(super) fn text<'t>(element: &'t [Term<'_>]) -> Option<&'t str> {
    element.iter().find_map(Term::text)
}

/// Every group, outer ones first, to any depth that [`parse`] lets through.
pub(super) fn groups<'t, 'a>(terms: &'t [Term<'a>]) -> impl Iterator<Item = &'t [Term<'a>]> {
    let mut waiting: Vec<std::slice::Iter<'t, Term<'a>>> = vec![terms.iter()];
    std::iter::from_fn(move || {
        loop {
            match waiting.last_mut()?.next() {
                Some(Term::Group(_, inner)) => {
                    waiting.push(inner.iter());
                    return Some(inner.as_slice());
                }
                Some(Term::Text(_) | Term::Word(_) | Term::Mark(_)) => {}
                None => {
                    waiting.pop();
                }
            }
        }
    })
}

/// Reads a whole text. Brackets need not fit each other, but all that are opened must be closed.
pub(super) fn parse<'a>(text: &'a str, notation: &Notation) -> Result<Vec<Term<'a>>, Unreadable> {
    let mut rest = text;
    let mut outer: Vec<(char, Vec<Term<'a>>)> = Vec::new();
    let mut terms = Vec::new();
    let mut count = 0;
    while let Some(character) = rest.chars().next() {
        count += 1;
        if count > MOST_TERMS {
            return Err(Unreadable::new(&format_args!("it has more than {MOST_TERMS} parts")));
        }
        if let Some(after) = after_blank(rest, notation) {
            rest = after;
            continue;
        }
        let after = &rest[character.len_utf8()..];
        rest = match character {
            '(' | '[' | '{' => {
                if outer.len() == DEEPEST {
                    return Err(Unreadable::new(&format_args!("brackets are nested deeper than {DEEPEST}")));
                }
                outer.push((character, std::mem::take(&mut terms)));
                after
            }
            ')' | ']' | '}' => {
                if let Some((bracket, around)) = outer.pop() {
                    let inner = std::mem::replace(&mut terms, around);
                    terms.push(Term::Group(bracket, inner));
                }
                after
            }
            quote if notation.quotes.contains(&quote) => {
                let (quoted, after) = quoted(after, quote)?;
                terms.push(Term::Text(quoted));
                after
            }
            _ if is_word(character) => {
                let end = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
                terms.push(Term::Word(&rest[..end]));
                &rest[end..]
            }
            _ => {
                terms.push(Term::Mark(character));
                after
            }
        };
    }
    match outer.is_empty() {
        true => Ok(terms),
        false => Err(Unreadable::new(&"a bracket is not closed")),
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// What follows white space or a comment, if the text begins with any.
fn after_blank<'a>(text: &'a str, notation: &Notation) -> Option<&'a str> {
    let trimmed = text.trim_start();
    if trimmed.len() < text.len() {
        return Some(trimmed);
    }
    if let Some((start, end)) = notation.block_comment
        && let Some(comment) = text.strip_prefix(start)
    {
        return Some(comment.find(end).map_or("", |at| &comment[at + end.len()..]));
    }
    let is_comment = notation.line_comments.iter().any(|start| text.starts_with(start));
    is_comment.then(|| text.find('\n').map_or("", |end| &text[end..]))
}

/// The text up to the closing quote, and what follows it. A backslash takes the character after it literally:
/// names and versions hold no other escapes.
fn quoted(text: &str, quote: char) -> Result<(Cow<'_, str>, &str), Unreadable> {
    let mut copied = None::<String>;
    let mut rest = text;
    loop {
        let end = rest.find([quote, '\\']).ok_or_else(|| Unreadable::new(&"a quote is not closed"))?;
        let (plain, stop) = rest.split_at(end);
        if let Some(after) = stop.strip_prefix(quote) {
            let whole = match copied {
                Some(copied) => Cow::Owned(copied + plain),
                None => Cow::Borrowed(plain),
            };
            return Ok((whole, after));
        }
        let copied = copied.get_or_insert_default();
        copied.push_str(plain);
        let mut escaped = stop[1..].chars();
        copied.extend(escaped.next());
        rest = escaped.as_str();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(word: &str) -> Term<'_> {
        Term::Word(word)
    }

    fn quote(text: &str) -> Term<'_> {
        Term::Text(Cow::Borrowed(text))
    }

    #[test]
    fn texts_words_marks_and_groups_are_told_apart() {
        let inner = vec![quote("b \"c"), Term::Mark(','), word("d_1")];
        let expected = vec![word("a"), Term::Mark(':'), Term::Group('[', inner)];
        assert_eq!(parse("a: # x [\n[\"b \\\"c\", d_1]", &ELIXIR).unwrap(), expected);
        assert_eq!(parse("/* ( */ a // (\n", &PHP).unwrap(), [word("a")]);
        assert_eq!(parse("'%' % {", &ERLANG).unwrap(), [quote("%")]);
    }

    #[test]
    fn what_is_not_closed_or_too_deep_is_an_error() {
        for text in ["(", "\"a", "\"a\\", &"[".repeat(100), &",".repeat(MOST_TERMS + 1)] {
            assert!(parse(text, &ERLANG).is_err(), "{text:.20}");
        }
        assert_eq!(parse("a)", &ERLANG).unwrap(), [word("a")]);
    }

    #[test]
    fn groups_are_found_at_every_depth() {
        let terms = parse("(a (b) c) [d]", &ERLANG).unwrap();
        let firsts: Vec<_> = groups(&terms).map(text).collect();
        assert_eq!(firsts, [Some("a"), Some("b"), Some("d")]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String, marks in "[\\[({})\\]\"'\\\\#/*a, \n-]{0,60}") {
            for notation in [ERLANG, ELIXIR, PHP, LUA, HCL, OPAM] {
                for text in [&text, &marks] {
                    if let Ok(terms) = parse(text, &notation) {
                        groups(&terms).count();
                    }
                }
            }
        }
    }
}
