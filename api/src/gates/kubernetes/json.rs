//! Foreign JSON, looked at where it lies: one list of nodes for a whole body, its texts borrowed from the bytes.
//!
//! A tree of `serde_json::Value` allocates every key, text and object of a body and frees them again; of a
//! review the gate looks at few of them, and that tree was more than half of what a decision cost. Structures
//! with only the fields that are judged would be cheaper still, and would pass over a field that somebody forgot to
//! name: here nothing is left out, whatever a rule looks for tomorrow.
//!
//! As with `Value` the last of several equal keys counts, and nesting has an end.

use std::fmt;
use std::ops::Range;

mod read;

/// A body that was read.
pub(super) struct Document<'b> {
    text: &'b str,
    nodes: Vec<Node>,
    /// The texts that have escapes, without them.
    unescaped: Vec<String>,
}

/// Why a body is no JSON.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotJson {
    #[error(transparent)]
    Bytes(#[from] std::str::Utf8Error),
    #[error("it has {0} bytes, which is too much")]
    TooLong(usize),
    #[error("expected {expected} at byte {at}")]
    Unexpected { expected: &'static str, at: usize },
    #[error("it nests too deeply at byte {at}")]
    TooDeep { at: usize },
    /// A number or a text, looked at for itself.
    #[error(transparent)]
    Text(#[from] serde_json::Error),
}

/// One value of a document, with everything in it.
#[derive(Clone, Copy)]
pub(super) struct Json<'d> {
    document: &'d Document<'d>,
    nodes: &'d [Node],
}

/// A value, followed by what is in it: the items of a list, the keys of an object each before its value. Small, for
/// a body has many.
#[derive(Clone, Copy)]
enum Node {
    Null,
    Bool(bool),
    Number(Span),
    Text(Span),
    /// Which of the texts that have escapes.
    Unescaped(u32),
    /// How many nodes it takes, itself included.
    List(u32),
    Object(u32),
}

/// A part of the body's text.
#[derive(Clone, Copy)]
struct Span {
    begin: u32,
    end: u32,
}

static EMPTY: Document<'static> = Document { text: "", nodes: Vec::new(), unescaped: Vec::new() };

impl<'b> Document<'b> {
    /// Reads a whole body.
    pub(super) fn read(body: &'b [u8]) -> Result<Self, NotJson> {
        let text = std::str::from_utf8(body)?;
        read::document(text)
    }

    fn text(&self, node: Node) -> Option<&str> {
        match node {
            Node::Text(span) => Some(&self.text[span.range()]),
            Node::Unescaped(number) => self.unescaped.get(number as usize).map(String::as_str),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::List(_) | Node::Object(_) => None,
        }
    }

    /// The value that the body is.
    pub(super) fn root(&self) -> Json<'_> {
        Json { document: self, nodes: &self.nodes }
    }
}

impl<'d> Json<'d> {
    /// What stands where nothing does.
    pub(super) const NULL: Json<'static> = Json { document: &EMPTY, nodes: &[Node::Null] };

    /// The value of a key; `None` if there is no such key, or no object to have it.
    pub(super) fn get(self, key: &str) -> Option<Self> {
        let mut found = None;
        for (name, value) in self.entries() {
            if name == key {
                found = Some(value);
            }
        }
        found
    }

    /// The value under several keys, one inside of the other.
    pub(super) fn at(self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self, |json, key| json.get(key))
    }

    /// The keys and values of an object; none of anything else.
    pub(super) fn entries(self) -> impl Iterator<Item = (&'d str, Self)> {
        let mut rest = match self.nodes {
            [Node::Object(_), inside @ ..] => inside,
            _ => &[],
        };
        std::iter::from_fn(move || {
            let [key, values @ ..] = rest else { return None };
            let (value, others) = values.split_at(values.first()?.width());
            rest = others;
            Some((self.document.text(*key)?, Json { nodes: value, ..self }))
        })
    }

    /// The items of a list; none of anything else.
    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        let mut rest = match self.nodes {
            [Node::List(_), inside @ ..] => inside,
            _ => &[],
        };
        std::iter::from_fn(move || {
            let (item, others) = rest.split_at(rest.first()?.width());
            rest = others;
            Some(Json { nodes: item, ..self })
        })
    }

    pub(super) fn as_str(self) -> Option<&'d str> {
        self.document.text(*self.nodes.first()?)
    }

    /// A whole number of 64 bits.
    pub(super) fn as_i64(self) -> Option<i64> {
        match self.nodes {
            // A negative zero is none, as in `Value`.
            [Node::Number(span)] => {
                Some(&self.document.text[span.range()]).filter(|text| *text != "-0")?.parse().ok()
            }
            _ => None,
        }
    }

    pub(super) fn as_bool(self) -> Option<bool> {
        match self.nodes {
            [Node::Bool(truth)] => Some(*truth),
            _ => None,
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self.nodes {
            [Node::Bool(_), ..] => Kind::Bool,
            [Node::Number(_), ..] => Kind::Number,
            [Node::Text(_) | Node::Unescaped(_), ..] => Kind::Text,
            [Node::List(_), ..] => Kind::List,
            [Node::Object(_), ..] => Kind::Object,
            [Node::Null, ..] | [] => Kind::Null,
        }
    }

    pub(super) fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    pub(super) fn is_object(self) -> bool {
        self.kind() == Kind::Object
    }

    /// Itself, unless it says nothing: Kubernetes takes `null` for what is not there.
    pub(super) fn said(self) -> Option<Self> {
        (!self.is_null()).then_some(self)
    }
}

/// A place in the body that has the wrong shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} is {found}; expected {expected}")]
pub(super) struct Malformed {
    place: String,
    found: Kind,
    expected: &'static str,
}

impl Malformed {
    pub(super) fn new(place: impl Into<String>, found: Json<'_>, expected: &'static str) -> Self {
        Self { place: place.into(), found: found.kind(), expected }
    }
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    List,
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Object => "an object",
        })
    }
}

impl Node {
    fn width(self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Unescaped(_) => 1,
            Self::List(width) | Self::Object(width) => width as usize,
        }
    }
}

impl Span {
    fn range(self) -> Range<usize> {
        self.begin as usize..self.end as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_keys_the_last_one_counts() {
        let document = Document::read(br#"{"a": {"b": 1}, "a": {"b": 2, "\u0062": 3}}"#).unwrap();
        assert_eq!(document.root().at(&["a", "b"]).and_then(Json::as_i64), Some(3));
    }

    #[test]
    fn what_is_not_there_has_nothing_in_it() {
        let document = Document::read(br#"[{"a": "text"}, null]"#).unwrap();
        let root = document.root();
        assert!(root.get("a").is_none() && root.entries().next().is_none());
        assert_eq!(root.items().map(Json::kind).collect::<Vec<_>>(), [Kind::Object, Kind::Null]);
        let text = root.items().next().and_then(|first| first.get("a")).unwrap();
        assert!(text.get("a").is_none() && text.items().next().is_none() && text.as_i64().is_none());
        assert!(Json::NULL.said().is_none() && text.said().is_some());
    }

    #[test]
    fn bytes_that_are_no_text_are_no_json() {
        assert!(Document::read(b"\"\xff\"").is_err());
    }
}
