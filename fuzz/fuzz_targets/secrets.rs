//! The search for secrets, in files, in git's packs and objects, in base64 and gzip: what is found does not depend on
//! how the bytes arrive, and nothing that is shown is the secret.
//!
//! The input is `path\n`, one byte for the size of the pieces, and the content.

#![no_main]

use libfuzzer_sys::fuzz_target;
use scanner::analyzers::FoundObservation;
use scanner::secrets::Secrets;

fuzz_target!(|input: &[u8]| {
    let Some(end) = input.iter().take(200).position(|byte| *byte == b'\n') else { return };
    let (path, rest) = (&input[..end], &input[end + 1..]);
    let Some((piece, content)) = rest.split_first() else { return };
    let secrets = Secrets::built_in();
    let whole = searched(&secrets, path, content, content.len().max(1));
    let pieces = searched(&secrets, path, content, usize::from(*piece) * 16 + 1);
    assert_eq!(whole, pieces);
    for found in &whole {
        let masked = found.masked.as_deref().unwrap_or_default();
        assert!(masked.chars().count() <= 64 && !masked.chars().any(char::is_control), "{masked:?}");
    }
    if let Ok(text) = std::str::from_utf8(content) {
        let _ = secrets.without_secrets(text);
    }
});

fn searched(secrets: &Secrets, path: &[u8], content: &[u8], piece: usize) -> Vec<FoundObservation> {
    let mut search = secrets.search(path, content.len() as u64);
    for piece in content.chunks(piece) {
        search.feed(piece);
    }
    search.finish().found
}
