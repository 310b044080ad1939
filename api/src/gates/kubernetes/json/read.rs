//! Text in, nodes out: the grammar of RFC 8259 in one pass, without recursion and without a copy of any text.
//!
//! `serde_json` with a visitor took three times as long. What is rare and intricate is left to it all the same:
//! escapes, and numbers with a sign, a fraction or an exponent. Both take the same texts and see the same in them; the
//! properties below hold them together.

use serde_json::Number;

use super::{Document, Node, NotJson, Span};

/// As few bytes of a body make a node; a guess that is wrong costs a reallocation.
const BYTES_A_NODE: usize = 8;
/// How deep lists and objects may nest, as in `serde_json`.
const MOST_LEVELS: usize = 127;
/// The document of a text that is one value.
pub(super) fn document(text: &str) -> Result<Document<'_>, NotJson> {
    // Places in the text, and numbers of nodes, which are fewer, have 32 bits from here on.
    u32::try_from(text.len()).map_err(|_| NotJson::TooLong(text.len()))?;
    let nodes = Vec::with_capacity(text.len() / BYTES_A_NODE + 1);
    let mut reader = Reader { text, at: 0, nodes, unescaped: Vec::new(), open: Vec::new() };
    loop {
        match reader.begin()? {
            Begun::Open => {}
            Begun::Whole => match reader.follow()? {
                Next::Value => {}
                Next::End => {
                    let Reader { nodes, unescaped, .. } = reader;
                    return Ok(Document { text, nodes, unescaped });
                }
            },
        }
    }
}

struct Reader<'b> {
    text: &'b str,
    /// How many bytes have been read.
    at: usize,
    nodes: Vec<Node>,
    unescaped: Vec<String>,
    /// The lists and objects that have not ended, as places in `nodes`.
    open: Vec<usize>,
}

/// How much was read of a value.
enum Begun {
    /// All of it.
    Whole,
    /// What stands before the first value inside of it.
    Open,
}

/// What comes after a value.
enum Next {
    Value,
    End,
}

impl Reader<'_> {
    fn begin(&mut self) -> Result<Begun, NotJson> {
        match self.peek() {
            Some(b'"') => self.text()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Node::Bool(true))?,
            Some(b'f') => self.word("false", Node::Bool(false))?,
            Some(b'n') => self.word("null", Node::Null)?,
            Some(b'[') => {
                self.open(Node::List(1))?;
                if self.peek() != Some(b']') {
                    return Ok(Begun::Open);
                }
                self.close();
            }
            Some(b'{') => {
                self.open(Node::Object(1))?;
                if self.peek() != Some(b'}') {
                    self.key()?;
                    return Ok(Begun::Open);
                }
                self.close();
            }
            Some(_) | None => return Err(self.expected("a value")),
        }
        Ok(Begun::Whole)
    }

    /// Ends what ends after a whole value, up to where the next one begins.
    fn follow(&mut self) -> Result<Next, NotJson> {
        loop {
            let next = self.peek();
            let around = self.open.last().map(|place| &self.nodes[*place]);
            match (around, next) {
                (None, None) => return Ok(Next::End),
                (None, Some(_)) => return Err(self.expected("the end")),
                (Some(Node::Object(_)), Some(b'}')) => self.close(),
                (Some(Node::Object(_)), Some(b',')) => {
                    self.at += 1;
                    self.key()?;
                    return Ok(Next::Value);
                }
                (Some(Node::Object(_)), _) => return Err(self.expected("`,` or `}`")),
                (Some(_), Some(b']')) => self.close(),
                (Some(_), Some(b',')) => {
                    self.at += 1;
                    return Ok(Next::Value);
                }
                (Some(_), _) => return Err(self.expected("`,` or `]`")),
            }
        }
    }

    fn open(&mut self, node: Node) -> Result<(), NotJson> {
        if self.open.len() == MOST_LEVELS {
            return Err(NotJson::TooDeep { at: self.at });
        }
        self.open.push(self.nodes.len());
        self.nodes.push(node);
        self.at += 1;
        Ok(())
    }

    /// Ends the innermost list or object, whose width is known now.
    fn close(&mut self) {
        self.at += 1;
        let Some(place) = self.open.pop() else { return };
        let end = self.nodes.len();
        if let Node::List(width) | Node::Object(width) = &mut self.nodes[place] {
            *width = (end - place) as u32;
        }
    }

    fn key(&mut self) -> Result<(), NotJson> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a key"));
        }
        self.text()?;
        if self.peek() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(())
    }

    /// A text, from its opening quote on.
    fn text(&mut self) -> Result<(), NotJson> {
        let begin = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut end = begin + plain(&bytes[begin..]);
        let node = match bytes.get(end) {
            Some(b'"') => Node::Text(span(begin, end)),
            Some(_) | None => {
                while let Some(byte) = bytes.get(end).filter(|byte| **byte != b'"') {
                    end += if *byte == b'\\' { 2 } else { 1 };
                }
                let quoted = self.text.get(self.at..=end).ok_or_else(|| self.expected("a text that ends"))?;
                self.unescaped.push(serde_json::from_str(quoted)?);
                Node::Unescaped(self.unescaped.len() as u32 - 1)
            }
        };
        self.nodes.push(node);
        self.at = end + 1;
        Ok(())
    }

    fn number(&mut self) -> Result<(), NotJson> {
        let rest = &self.text[self.at..];
        let belongs = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.bytes().position(|byte| !belongs(&byte)).unwrap_or(rest.len());
        let number = &rest[..length];
        if !is_plain_number(number) {
            serde_json::from_str::<Number>(number)?;
        }
        self.nodes.push(Node::Number(span(self.at, self.at + length)));
        self.at += length;
        Ok(())
    }

    fn word(&mut self, word: &str, node: Node) -> Result<(), NotJson> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.expected("a value"));
        }
        self.nodes.push(node);
        self.at += word.len();
        Ok(())
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    fn expected(&self, expected: &'static str) -> NotJson {
        NotJson::Unexpected { expected, at: self.at }
    }
}

fn span(begin: usize, end: usize) -> Span {
    Span { begin: begin as u32, end: end as u32 }
}

/// Whether it is nothing but digits, the first of them no zero unless it is the only one.
fn is_plain_number(number: &str) -> bool {
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    digits && !number.is_empty() && (number.len() == 1 || !number.starts_with('0'))
}

/// How many bytes come before a quote, a backslash or a control character; eight are looked at at a time.
fn plain(bytes: &[u8]) -> usize {
    const EACH: u64 = u64::MAX / 0xff;
    // The highest bit of each byte that is smaller than `least`; a larger byte may seem so only after one that is.
    let smaller = |word: u64, least: u8| word.wrapping_sub(EACH * u64::from(least)) & !word & (EACH * 0x80);
    let equal = |word: u64, byte: u8| smaller(word ^ (EACH * u64::from(byte)), 1);
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let ends = smaller(word, b' ') | equal(word, b'"') | equal(word, b'\\');
        if ends != 0 {
            return number * 8 + ends.trailing_zeros() as usize / 8;
        }
    }
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
    words.len() * 8 + rest.iter().position(ends).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::{Document, Json, Kind};
    use crate::gates::kubernetes::tests::any_json;

    /// What a document says, as a tree of values; numbers that are no whole ones of 64 bits are one half.
    fn tree(json: Json<'_>) -> Value {
        match json.kind() {
            Kind::Null => Value::Null,
            Kind::Bool => json.as_bool().into(),
            Kind::Number => json.as_i64().map_or(0.5.into(), Value::from),
            Kind::Text => json.as_str().into(),
            Kind::List => json.items().map(tree).collect(),
            Kind::Object => json.entries().map(|(key, value)| (key.to_owned(), tree(value))).collect(),
        }
    }

    fn expected(value: Value) -> Value {
        match value {
            Value::Number(number) => number.as_i64().map_or(0.5.into(), Value::from),
            Value::Array(items) => items.into_iter().map(expected).collect(),
            Value::Object(entries) => {
                entries.into_iter().map(|(key, value)| (key, expected(value))).collect()
            }
            other @ (Value::Null | Value::Bool(_) | Value::String(_)) => other,
        }
    }

    /// Both readers take a text, and see the same in it; or neither does.
    fn check(text: &str) {
        let theirs = serde_json::from_str::<Value>(text).ok().map(expected);
        let document = Document::read(text.as_bytes());
        let ours = document.as_ref().ok().map(|document| tree(document.root()));
        assert_eq!(ours, theirs, "{text:?}: {:?}", document.err());
    }

    #[test]
    fn the_grammar_is_that_of_the_other_reader() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[",
            "]",
            "{}",
            "[]",
            "{}{}",
            "[1,]",
            "[,1]",
            "{\"a\":1,}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "[1 2]",
            "[1}",
            "{\"a\":1]",
            "nul",
            "nullx",
            "null null",
            "true",
            "falsetto",
            "tru",
            "\u{feff}1",
            "\"",
            "\"\\\"",
            "\"\\",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\ud83d\\ude00\"",
            "\"\\u0000\"",
            "\"a\tb\"",
            "\"a\u{1f}\"",
            "\"a\u{7f}ä😀\"",
            "\"12345678\"",
            "\"1234567\\n\"",
            "\"12345678\n\"",
            "\"ääää\\\\\"",
            "\"\\ä\"",
            "0",
            "-0",
            "00",
            "01",
            "-",
            "-1",
            "+1",
            "1.",
            ".5",
            "1.5",
            "1e3",
            "1E+3",
            "1e",
            "1e999",
            "1-2",
            "--1",
            "0x1",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "18446744073709551615",
            "999999999999999999",
            "123456789012345678901234567890",
            " \n\t\r[ 1 , { \"a\" : null } ] ",
            "\u{b}1",
            "\u{a0}1",
        ] {
            check(text);
        }
    }

    #[test]
    fn nesting_ends_where_it_ends_in_the_other_reader() {
        for levels in [1, 126, 127, 128, 129, 100_000] {
            check(&format!("{}{}", "[".repeat(levels), "]".repeat(levels)));
            check(&format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels)));
            check(&"[".repeat(levels));
        }
    }

    proptest! {
        #[test]
        fn every_value_is_read(value in any_json()) {
            check(&value.to_string());
            check(&serde_json::to_string_pretty(&value).unwrap());
        }

        #[test]
        fn one_wrong_character_is_wrong_for_both(value in any_json(), at: prop::sample::Index, wrong in r#"[\[\]{}":,\\ 0-9a-z\x00-\x1f.+-]{0,2}"#) {
            let mut text: Vec<char> = value.to_string().chars().collect();
            let at = at.index(text.len());
            text.splice(at..=at, wrong.chars());
            check(&text.into_iter().collect::<String>());
        }

        #[test]
        fn any_text_is_the_same_to_both(text in r#"[\[\]{}":,a-z0-9\\u.\n +-]{0,60}"#, number in "-?[0-9]{1,22}(\\.[0-9]{0,3})?(e[0-9+-]{0,4})?") {
            check(&text);
            check(&format!("\"{text}\""));
            check(&number);
        }
    }
}
