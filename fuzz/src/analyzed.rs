//! One file read by one analyzer: `name path\n` and then the content, so that seeds can be read by people and outlive a
//! new line in [`scanner::analyzers::ALL`].

use std::sync::LazyLock;

use scanner::analyzers::{ALL, Analyzer, Candidate, CapturedFile, Found, Trigger};
use scanner::limits::Limits;
use shared::model::package::Purl;

static LIMITS: LazyLock<Limits> = LazyLock::new(crate::budget::limits);

/// The longest first line that is taken for one.
const LONGEST_LINE: usize = 300;

/// Reads the file that `input` describes with the analyzer that it names; of other names, with one of `known`
/// that its first byte chooses, at a path that its second byte chooses.
pub fn read(input: &[u8], known: &[&str]) {
    let (analyzer, path, content) = match addressed(input, known) {
        Some(addressed) => addressed,
        None => match chosen(input, known) {
            Some(chosen) => chosen,
            None => return,
        },
    };
    let head = &content[..content.len().min(64)];
    let candidate = Candidate { path: path.as_bytes(), size: content.len() as u64, mode: 0o755, head };
    if !analyzer.wants(&candidate) {
        return;
    }
    let file = CapturedFile { path: &path, mode: 0o755, content: &content };
    check(&analyzer.analyze(&file, &LIMITS), content.len());
}

/// What holds of everything that is found in whatever file.
fn check(found: &Found, size: usize) {
    for package in &found.packages {
        let package = &package.package;
        assert!(!package.name.is_empty(), "a package without a name: {package:?}");
        let purl = Purl::new(package, None);
        assert!(purl.as_str().is_ascii(), "{purl}");
    }
    // Not one problem a byte: a hostile file must not make more to read than it is.
    assert!(found.problems.len() <= 64 + size / 16, "{} problems of {size} bytes", found.problems.len());
}

type Addressed = (&'static dyn Analyzer, String, Vec<u8>);

fn addressed(input: &[u8], known: &[&str]) -> Option<Addressed> {
    let end = line_end(input)?;
    let line = std::str::from_utf8(&input[..end]).ok()?;
    let (name, path) = line.split_once(' ')?;
    let analyzer = known.contains(&name).then(|| by_name(name)).flatten()?;
    Some((analyzer, path.to_owned(), input[end + 1..].to_vec()))
}

fn chosen(input: &[u8], known: &[&str]) -> Option<Addressed> {
    let [which, place, content @ ..] = input else { return None };
    let analyzer = by_name(known[usize::from(*which) % known.len()])?;
    let triggers = analyzer.triggers();
    let (path, magic) = place_of(triggers[usize::from(*place) % triggers.len()]);
    Some((analyzer, path, [magic, content].concat()))
}

/// Where a file lies that a trigger chooses, and how it begins.
fn place_of(trigger: Trigger) -> (String, &'static [u8]) {
    let (path, magic): (String, &[u8]) = match trigger {
        Trigger::Path(path) => (path.to_owned(), b""),
        Trigger::Name(name) => (format!("srv/app/{name}"), b""),
        Trigger::Extension(end) => (format!("srv/app/a-1.0{end}"), b""),
        Trigger::Parent(end) if end.starts_with(['.', '-']) => (format!("srv/app/a-1.0{end}/METADATA"), b""),
        Trigger::Parent(end) => (format!("{end}/a"), b""),
        Trigger::Below(directory, name) => (format!("{directory}/a/b-1.0/{name}"), b""),
        Trigger::Magic(magic) => ("usr/bin/a".to_owned(), magic),
    };
    (path, magic)
}

fn by_name(name: &str) -> Option<&'static dyn Analyzer> {
    ALL.iter().copied().find(|analyzer| analyzer.name() == name)
}

fn line_end(input: &[u8]) -> Option<usize> {
    input.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n')
}

/// Mutates the content; the first line only once in sixteen times, because few lines address anybody.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let start = match line_end(&data[..size]) {
        Some(end) if seed % 16 != 0 && end + 1 < max_size => end + 1,
        _ => 0,
    };
    start + libfuzzer_sys::fuzzer_mutate(&mut data[start..], size - start, max_size - start)
}
