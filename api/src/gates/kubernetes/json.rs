//! Foreign JSON, looked at where it lies: one list of nodes for a whole body, its texts borrowed from the bytes.
//!
//! A tree of `serde_json::Value` allocates every key, text and object of a body and frees them again; of a
//! review the gate looks at few of them, and that tree was more than half of what a decision cost. Structures
//! with only the fields that are judged would be cheaper still, and would pass over a field that somebody forgot to
//! name: here nothing is left out, whatever a rule looks for tomorrow.
//!
//! As with `Value` the last of several equal keys counts, and nesting ends at 128 levels.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// A body that was read.
pub(super) struct Document<'b>(Vec<Node<'b>>);

/// Why a body is no JSON.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotJson {
    #[error(transparent)]
    Bytes(#[from] std::str::Utf8Error),
    #[error(transparent)]
    Text(#[from] serde_json::Error),
}

/// One value of a document, with everything in it.
#[derive(Clone, Copy)]
pub(super) struct Json<'d>(&'d [Node<'d>]);

/// A value, followed by what is in it: the items of a list, the keys of an object each before its value.
enum Node<'b> {
    Null,
    Bool(bool),
    /// `None` if it is no whole number of 64 bits.
    Number(Option<i64>),
    Text(Cow<'b, str>),
    /// How many nodes it takes, itself included.
    List(usize),
    Object(usize),
}

/// As few bytes of a body make a node on average; a guess that is wrong costs a reallocation.
const BYTES_A_NODE: usize = 12;

impl<'b> Document<'b> {
    /// Reads a whole body.
    pub(super) fn read(body: &'b [u8]) -> Result<Self, NotJson> {
        let text = std::str::from_utf8(body)?;
        let mut nodes = Vec::with_capacity(text.len() / BYTES_A_NODE + 1);
        let mut json = serde_json::Deserializer::from_str(text);
        Reader(&mut nodes).deserialize(&mut json)?;
        json.end()?;
        Ok(Self(nodes))
    }

    /// The value that the body is.
    pub(super) fn root(&self) -> Json<'_> {
        Json(&self.0)
    }
}

impl<'d> Json<'d> {
    /// What stands where nothing does.
    pub(super) const NULL: Json<'static> = Json(&[Node::Null]);

    /// The value of a key; `None` if there is no such key, or no object to have it.
    pub(super) fn get(self, key: &str) -> Option<Self> {
        self.entries().filter(|entry| entry.0 == key).last().map(|entry| entry.1)
    }

    /// The value under several keys, `["spec", "template"]`; itself under none.
    pub(super) fn at(self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The keys and values of an object; none of anything else.
    pub(super) fn entries(self) -> impl Iterator<Item = (&'d str, Self)> {
        let mut rest = match self.0 {
            [Node::Object(_), inside @ ..] => inside,
            _ => &[],
        };
        std::iter::from_fn(move || {
            let [Node::Text(key), values @ ..] = rest else { return None };
            let (value, others) = values.split_at(values.first()?.width());
            rest = others;
            Some((key.as_ref(), Json(value)))
        })
    }

    /// The items of a list; none of anything else.
    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        let mut rest = match self.0 {
            [Node::List(_), inside @ ..] => inside,
            _ => &[],
        };
        std::iter::from_fn(move || {
            let (item, others) = rest.split_at(rest.first()?.width());
            rest = others;
            Some(Json(item))
        })
    }

    pub(super) fn as_str(self) -> Option<&'d str> {
        match self.0 {
            [Node::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// A whole number of 64 bits.
    pub(super) fn as_i64(self) -> Option<i64> {
        match self.0 {
            [Node::Number(number)] => *number,
            _ => None,
        }
    }

    pub(super) fn as_bool(self) -> Option<bool> {
        match self.0 {
            [Node::Bool(truth)] => Some(*truth),
            _ => None,
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self.0 {
            [Node::Bool(_), ..] => Kind::Bool,
            [Node::Number(_), ..] => Kind::Number,
            [Node::Text(_), ..] => Kind::Text,
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

impl Node<'_> {
    fn width(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => 1,
            Self::List(width) | Self::Object(width) => *width,
        }
    }
}

/// Appends one value to the nodes.
struct Reader<'r, 'b>(&'r mut Vec<Node<'b>>);

impl<'b> DeserializeSeed<'b> for Reader<'_, 'b> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for Reader<'_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push(Node::Null);
        Ok(())
    }

    fn visit_bool<E>(self, truth: bool) -> Result<(), E> {
        self.0.push(Node::Bool(truth));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.0.push(Node::Number(Some(number)));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.0.push(Node::Number(i64::try_from(number).ok()));
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.0.push(Node::Number(None));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'b str) -> Result<(), E> {
        self.0.push(Node::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.push(Node::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut items: A) -> Result<(), A::Error> {
        let begin = self.0.len();
        self.0.push(Node::List(1));
        while items.next_element_seed(Reader(self.0))?.is_some() {}
        self.0[begin] = Node::List(self.0.len() - begin);
        Ok(())
    }

    fn visit_map<A: MapAccess<'b>>(self, mut entries: A) -> Result<(), A::Error> {
        let begin = self.0.len();
        self.0.push(Node::Object(1));
        while entries.next_key_seed(Reader(self.0))?.is_some() {
            entries.next_value_seed(Reader(self.0))?;
        }
        self.0[begin] = Node::Object(self.0.len() - begin);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// What the document says, as a tree of values; numbers that are no whole ones become zero.
    fn tree(json: Json<'_>) -> Value {
        match json.kind() {
            Kind::Null => Value::Null,
            Kind::Bool => json.as_bool().into(),
            Kind::Number => json.as_i64().unwrap_or_default().into(),
            Kind::Text => json.as_str().into(),
            Kind::List => json.items().map(tree).collect(),
            Kind::Object => json.entries().map(|(key, value)| (key.to_owned(), tree(value))).collect(),
        }
    }

    #[test]
    fn of_equal_keys_the_last_one_counts() {
        let document = Document::read(br#"{"a": {"b": 1}, "a": {"b": 2, "\u0062": 3}}"#).unwrap();
        assert_eq!(document.root().at(&["a", "b"]).and_then(Json::as_i64), Some(3));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for body in ["", "{", "{}{}", "[1,]", "\"\\x\"", "nul", &"[".repeat(200), &"{\"a\":".repeat(200)] {
            assert!(Document::read(body.as_bytes()).is_err(), "{body}");
        }
        assert!(Document::read(b"\"\xff\"").is_err());
    }

    #[test]
    fn only_whole_numbers_of_64_bits_are_numbers_to_compare() {
        for (text, expected) in
            [("0", Some(0)), ("-7", Some(-7)), ("0.0", None), ("1e3", None), ("18446744073709551615", None)]
        {
            let document = Document::read(text.as_bytes()).unwrap();
            let root = document.root();
            assert_eq!((root.kind(), root.as_i64()), (Kind::Number, expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_document_says_what_a_tree_of_values_says(value in crate::gates::kubernetes::tests::any_json()) {
            let text = value.to_string();
            let document = Document::read(text.as_bytes()).unwrap();
            prop_assert_eq!(tree(document.root()), value);
        }

        #[test]
        fn no_text_stops_the_reader_and_both_read_the_same_texts(text in r#"[\[\]{}":,a-z0-9\\u.-]{0,60}"#) {
            let read = Document::read(text.as_bytes()).is_ok();
            prop_assert_eq!(read, serde_json::from_str::<Value>(&text).is_ok());
        }
    }
}
