//! Where in a file a program's version stands: the bytes around it in, the version out.
//!
//! The work for one mark is one pass over the file.

/// Where in a file a version stands.
pub(super) enum Mark {
    /// Between these bytes; before any byte that is neither letter nor digit if the second are none. A hyphen before
    /// the first makes them the end of another name.
    Between(&'static [u8], &'static [u8]),
    /// Behind the first bytes, with the second further on in the same string.
    Near(&'static [u8], &'static [u8]),
    /// Between these bytes and blanks and a number, such as a date.
    Dated(&'static [u8]),
    /// Right before the name of the host and the time of the build, as Redis writes them: twelve letters and digits, as
    /// in a container's id, a hyphen, digits.
    BeforeBuild,
    /// A whole NUL-terminated string, in a file that has these bytes.
    Alone(&'static [u8]),
    /// Between the first bytes and a NUL, if its first number is one of these.
    OfMajor(&'static [u8], &'static [&'static str]),
    /// A whole NUL-terminated string, of which the next that is not empty begins so.
    BeforeString(&'static [u8]),
    /// Right before these bytes.
    Before(&'static [u8]),
    /// At the start of the NUL-terminated string after the one that follows these bytes.
    NextString(&'static [u8]),
    /// A whole NUL-terminated string that begins with the version in the file's name, of which it is a patch.
    PatchOfFileName,
}

/// Longer than any version of a program; a longer one is something else.
const LONGEST_VERSION: usize = 32;
/// The id of a container that somebody built in, and the digits of the time at least.
const HOST: usize = 12;
const TIME: usize = 9;
/// The longest string that [`Mark::NextString`] passes over.
const LONGEST_STRING: usize = 64;

impl Mark {
    /// The version that stands at the first convincing place. The work is one pass over the content.
    pub(super) fn version(&self, name: &[u8], content: &[u8]) -> Option<String> {
        match self {
            Self::Between(before, after) => memchr::memmem::find_iter(content, before)
                .filter(|at| !content[..*at].ends_with(b"-"))
                .find_map(|at| ended(&content[at + before.len()..], after)),
            Self::Near(before, after) => memchr::memmem::find_iter(content, before).find_map(|at| {
                let rest = &content[at + before.len()..];
                let near = rest.iter().take(LONGEST_STRING).position(|byte| *byte == 0);
                let near = &rest[..near.unwrap_or(rest.len().min(LONGEST_STRING))];
                memchr::memmem::find(near, after).and_then(|_| ended(rest, b""))
            }),
            Self::Dated(before) => memchr::memmem::find_iter(content, before).find_map(|at| {
                let rest = &content[at + before.len()..];
                let version = ended(rest, b" ")?;
                let behind = rest[version.len()..].iter().find(|byte| **byte != b' ');
                behind.is_some_and(u8::is_ascii_digit).then_some(version)
            }),
            Self::BeforeBuild => memchr::memchr_iter(b'-', content).find_map(|at| {
                let host = at.checked_sub(HOST).filter(|_| digits(&content[at + 1..]) >= TIME)?;
                let is_name = content[host..at].iter().all(u8::is_ascii_alphanumeric);
                preceding(&content[..host]).filter(|_| is_name)
            }),
            Self::OfMajor(before, majors) => memchr::memmem::find_iter(content, before).find_map(|at| {
                let version = ended(&content[at + before.len()..], b"\0")?;
                majors.contains(&version.split('.').next()?).then_some(version)
            }),
            Self::Alone(mark) => {
                memchr::memmem::find(content, mark)?;
                memchr::memchr_iter(0, content).find_map(|at| ended(&content[at + 1..], b"\0"))
            }
            Self::BeforeString(next) => memchr::memmem::find_iter(content, next).find_map(|at| {
                let padding = content[..at].iter().rev().take_while(|byte| **byte == 0).count();
                let end = at.checked_sub(padding).filter(|_| padding > 0)?;
                preceding_string(&content[..end])
            }),
            Self::Before(after) => {
                memchr::memmem::find_iter(content, after).find_map(|at| preceding(&content[..at]))
            }
            Self::NextString(before) => memchr::memmem::find_iter(content, before).find_map(|at| {
                let rest = &content[at + before.len()..];
                let end = rest.iter().take(LONGEST_STRING).position(|byte| *byte == 0)?;
                ended(&rest[end + 1..], b"")
            }),
            Self::PatchOfFileName => {
                let needle = [b"\0", file_version(name)?, b"."].concat();
                let mut places = memchr::memmem::find_iter(content, &needle);
                places.find_map(|at| ended(&content[at + 1..], b"\0"))
            }
        }
    }
}

/// The version at the start of `text`, if `after` follows it.
fn ended(text: &[u8], after: &[u8]) -> Option<String> {
    let length = version_length(&text[..text.len().min(LONGEST_VERSION)])?;
    let rest = &text[length..];
    let ends = match after {
        [] => !rest.first().is_some_and(u8::is_ascii_alphanumeric),
        after => rest.starts_with(after),
    };
    ends.then(|| String::from_utf8_lossy(&text[..length]).into_owned())
}

/// The version at the end of `text`, if no word runs into it.
fn preceding(text: &[u8]) -> Option<String> {
    let tail = &text[text.len().saturating_sub(LONGEST_VERSION)..];
    let other = tail.iter().rposition(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
    let version = &tail[other + 1..];
    let is_whole = !tail[other].is_ascii_alphanumeric() && version_length(version) == Some(version.len());
    is_whole.then(|| String::from_utf8_lossy(version).into_owned())
}

/// The NUL-terminated string at the end of `text`, if all of it is a version.
fn preceding_string(text: &[u8]) -> Option<String> {
    let tail = &text[text.len().saturating_sub(LONGEST_VERSION)..];
    let version = &tail[memchr::memrchr(0, tail)? + 1..];
    let is_whole = version_length(version) == Some(version.len());
    is_whole.then(|| String::from_utf8_lossy(version).into_owned())
}

/// How many bytes of `text` are a version: numbers with dots, then a build (`+7`, `_392`), a stage (`rc1`,
/// `-beta.2`) or OpenSSL's letter. A number alone is a version only with a build.
fn version_length(text: &[u8]) -> Option<usize> {
    let mut length = 0;
    let mut numbers = 0;
    loop {
        let digits = digits(&text[length..]);
        if digits == 0 {
            return None;
        }
        length += digits;
        numbers += 1;
        match &text[length..] {
            [b'.', next, ..] if next.is_ascii_digit() => length += 1,
            _ => break,
        }
    }
    let more = build(&text[length..]).or_else(|| stage(&text[length..])).or_else(|| letter(&text[length..]));
    (numbers > 1 || text.get(length) == Some(&b'+')).then_some(length + more.unwrap_or(0))
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn build(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"+").or_else(|| text.strip_prefix(b"_"))?;
    Some(1 + digits(rest)).filter(|length| *length > 1)
}

fn stage(text: &[u8]) -> Option<usize> {
    let dash = usize::from(text.starts_with(b"-"));
    let stages: [&[u8]; 7] = [b"alpha", b"beta", b"preview", b"pre", b"rc", b"a", b"b"];
    let stage = stages.into_iter().find(|stage| text[dash..].starts_with(stage))?;
    let start = dash + stage.len();
    let start = start + usize::from(text[start..].starts_with(b"."));
    Some(start + digits(&text[start..])).filter(|length| *length > start)
}

fn letter(text: &[u8]) -> Option<usize> {
    let length = text.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let ends = !text.get(length).is_some_and(u8::is_ascii_alphanumeric);
    ((1..=2).contains(&length) && ends).then_some(length)
}

/// `3.12` of `python3.12` and of `libpython3.12.so.1.0`.
fn file_version(name: &[u8]) -> Option<&[u8]> {
    let start = name.iter().position(u8::is_ascii_digit)?;
    let length = version_length(&name[start..])?;
    Some(&name[start..start + length])
}
