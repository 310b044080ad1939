//! A compiled advisory database that something has altered: opened, asked and verified it is an answer or an error.
//!
//! The input is patches to a small database that is in order: three bytes for the place, one for how many bytes follow.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use scanner::advisories::compile::{BuildOptions, build};
use scanner::advisories::{Database, DatabaseError};
use tempfile::TempDir;

struct Sound {
    folder: TempDir,
    bytes: Vec<u8>,
    questions: Vec<(String, String)>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is a place for files");
    let output = folder.path().join("db");
    let records = concat!(env!("CARGO_MANIFEST_DIR"), "/../advisories/PyPI");
    build(&[records.into()], &output, &BuildOptions::default()).expect("they are tested");
    let names = ["jinja2", "urllib3", "requests", "django", "no-such"];
    let questions = names.map(|name| ("PyPI".to_owned(), name.to_owned())).to_vec();
    Sound { bytes: std::fs::read(&output).expect("it was built a moment ago"), folder, questions }
});

/// The store under the database panics where a page makes no sense, and the database makes an error of that: only
/// other panics are findings.
fn tolerate_the_store() {
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|place| place.file().contains("/redb-")) {
            abort(panic);
        }
    }));
}

fuzz_target!(init: tolerate_the_store(), |input: &[u8]| {
    let sound = &*SOUND;
    let mut bytes = sound.bytes.clone();
    let mut rest = input;
    while let [a, b, c, length, after @ ..] = rest {
        let at = u32::from_be_bytes([0, *a, *b, *c]) as usize % bytes.len();
        let (patch, after) = after.split_at(usize::from(*length % 32).min(after.len()));
        for (byte, new) in bytes[at..].iter_mut().zip(patch) {
            *byte = *new;
        }
        rest = after;
    }
    let path = sound.folder.path().join("altered");
    std::fs::write(&path, &bytes).expect("the folder is ours");
    let _ = ask(&path, sound);
});

fn ask(path: &std::path::Path, sound: &Sound) -> Result<(), DatabaseError> {
    let database = Database::open(path)?;
    for (ecosystem, name) in &sound.questions {
        for id in database.lookup(ecosystem, name)? {
            let _ = database.advisory(&id)?;
        }
    }
    database.verify()
}
