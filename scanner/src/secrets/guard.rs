//! What is quickly seen of a hit: asked before the expression, which takes a hundred times as long.

/// The longest name of a host, in bytes (RFC 1035).
const LONGEST_HOST: usize = 255;

/// What every hit of a rule has, from the beginning of its literal on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// Nothing that is worth a look.
    None,
    /// It begins with so many letters, digits, `_` and `-`.
    Run(usize),
    /// Nothing but white space stands before its literal in the line.
    OpensLine,
    /// An `@` is among so many bytes, with no white space before it, and behind it a host that somebody may have: none of
    /// those that are kept for documentation (RFC 2606, RFC 6761).
    Address(usize),
    /// White space stands behind so many bytes, its literal, and behind it such a host.
    Host(usize),
    /// Among so many bytes (the second) are so many characters of base64 in a row (the first).
    RunWithin(usize, usize),
}

impl Guard {
    /// Whether a hit is possible with the literal at a position of `text`.
    pub(super) fn lets_pass(self, text: &[u8], literal: usize) -> bool {
        let (before, text) = text.split_at(literal);
        let first = |count: usize| &text[..count.min(text.len())];
        match self {
            Self::None => true,
            Self::Run(length) => text.len() >= length && first(length).iter().all(is_name),
            Self::OpensLine => {
                let indent = before.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                matches!(before[..before.len() - indent].last(), None | Some(b'\n' | b'\r'))
            }
            Self::Address(within) => memchr::memchr(b'@', first(within)).is_some_and(|at| {
                let has_space = text[..at].iter().any(u8::is_ascii_whitespace);
                !has_space && !is_documentation(&text[at + 1..])
            }),
            Self::Host(literal) => text.get(literal..).is_some_and(|behind| {
                let host = behind.trim_ascii_start();
                host.len() < behind.len() && !is_documentation(host)
            }),
            Self::RunWithin(length, within) => has_run(first(within), length),
        }
    }
}

/// Whether a text begins with a host that nobody can have.
fn is_documentation(text: &[u8]) -> bool {
    const RESERVED: [&[u8]; 6] =
        [b"example.com", b"example.org", b"example.net", b"example", b"invalid", b"test"];
    let is_of_host = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let host = &text[..text.iter().take(LONGEST_HOST).take_while(is_of_host).count()];
    RESERVED.iter().any(|reserved| match host.len().checked_sub(reserved.len()) {
        Some(at) => {
            host[at..].eq_ignore_ascii_case(reserved) && matches!(host[..at].last(), None | Some(b'.'))
        }
        None => false,
    })
}

fn is_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Looks at the end of where a run could be first, so that most of the text is never looked at.
fn has_run(text: &[u8], length: usize) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut from = 0;
    while let Some(window) = text.get(from..from + length) {
        match window.iter().rposition(|byte| !is_base64(byte)) {
            None => return true,
            Some(at) => from += at + 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_hit_is_not_let_pass() {
        for (guard, text, expected) in [
            (Guard::None, "", true),
            (Guard::Run(4), "ab_-", true),
            (Guard::Run(4), "ab_-.", true),
            (Guard::Run(4), "ab.-", false),
            (Guard::Run(4), "abc", false),
            (Guard::Address(20), "://user:pass@host", true),
            (Guard::Address(12), "://user:pass@host", false),
            (Guard::Address(20), "://host a@b", false),
            (Guard::Address(20), "://host", false),
            (Guard::Address(20), "://user:pass@", true),
            (Guard::Address(20), "://user:pass@www.Example.com/x", false),
            (Guard::Address(20), "://user:pass@db.test:5432", false),
            (Guard::Address(20), "://user:pass@myexample.com", true),
            (Guard::Address(20), "://user:pass@example.com.evil.io", true),
            (Guard::Host(7), "machine a.internal", true),
            (Guard::Host(7), "machine \t\n example.org login", false),
            (Guard::Host(7), "machinery", false),
            (Guard::Host(7), "machine", false),
            (Guard::RunWithin(4, 100), "a bc def+/ g", true),
            (Guard::RunWithin(6, 100), "a bc def+/ g", false),
            (Guard::RunWithin(4, 7), "a bc def+/ g", false),
            (Guard::RunWithin(4, 100), "", false),
        ] {
            assert_eq!(guard.lets_pass(text.as_bytes(), 0), expected, "{guard:?} {text:?}");
        }
        for (text, expected) in [("set", true), ("x\n \tset", true), ("unset", false), ("x set", false)] {
            assert_eq!(Guard::OpensLine.lets_pass(text.as_bytes(), text.len() - 3), expected, "{text:?}");
        }
    }
}
