//! Credentials that somebody lends us for one image: a registry that asks for a scan and says how to pull.
//!
//! They are worth stealing and short-lived, so they are in no job, no log and no file: a note keeps them,
//! sealed, under the image that they are for, until they are used or their time is over. Losing the note
//! costs a scan that says why it failed (I13). They are used at the configured registry only (I8).
//!
//! A sealed note is one version byte, a nonce, and the header value under ChaCha20-Poly1305, bound to the
//! image's name and digest: a note that is moved under another name cannot be opened.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};

use crate::model::digest::Digest;
use crate::model::image::ImageName;
use crate::store::{NoteName, SharedNotes, StoreError};

use super::Credentials;

/// Lends and borrows.
#[derive(Clone)]
pub struct LentCredentials {
    notes: SharedNotes,
    key: LendingKey,
}

/// What seals lent credentials; api and workers need the same.
#[derive(Clone)]
pub struct LendingKey([u8; 32]);

/// Why credentials were not lent or borrowed. No variant has a part of them.
#[derive(Debug, thiserror::Error)]
pub enum LentError {
    /// Neither Basic with a user and a password, nor Bearer with a token.
    #[error("the authorization is neither `Basic` with user and password nor `Bearer` with a token")]
    Unusable,
    /// The note was sealed with another key, moved, or changed.
    #[error(
        "the lent credentials cannot be opened: api and workers need the same gates.harbor.credentials_key"
    )]
    Sealed,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The label that keeps keys for other purposes apart, and the format of what is sealed.
const PURPOSE: &[u8] = b"tidewaiter: credentials lent for one image, version 1";
const VERSION: u8 = 1;
/// Whoever asks for a scan waits half an hour for it; after that nobody needs its credentials.
const LIFE: Duration = Duration::from_secs(30 * 60);
/// A bearer token may be long; anything longer is none.
const LONGEST: usize = 16 << 10;

impl LendingKey {
    /// A key from a configured secret of any length.
    pub fn new(secret: &SecretString) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
        let tag = hmac::sign(&key, PURPOSE);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        Self(bytes)
    }

    /// A key that this process alone has: enough where api and worker are one process.
    pub fn of_this_process() -> Result<Self, LentError> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| LentError::Random)?;
        Ok(Self(bytes))
    }

    fn aead(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &self.0).expect("the key has 32 bytes"))
    }

    fn seal(&self, plain: &[u8], about: &NoteName) -> Result<Vec<u8>, LentError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| LentError::Random)?;
        let mut sealed = plain.to_vec();
        self.aead()
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), associated(about), &mut sealed)
            .map_err(|_| LentError::Random)?;
        Ok([&[VERSION], nonce.as_slice(), &sealed].concat())
    }

    fn open(&self, note: &[u8], about: &NoteName) -> Result<SecretString, LentError> {
        let (version, rest) = note.split_first().ok_or(LentError::Sealed)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(LentError::Sealed)?;
        if *version != VERSION {
            return Err(LentError::Sealed);
        }
        let mut buffer = sealed.to_vec();
        let plain = self
            .aead()
            .open_in_place(Nonce::assume_unique_for_key(*nonce), associated(about), &mut buffer)
            .map_err(|_| LentError::Sealed)?;
        Ok(std::str::from_utf8(plain).map_err(|_| LentError::Sealed)?.into())
    }
}

impl fmt::Debug for LendingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LendingKey([REDACTED])")
    }
}

fn associated(about: &NoteName) -> Aad<&[u8]> {
    Aad::from(about.as_str().as_bytes())
}

impl LentCredentials {
    /// Keeps them in these notes, under this key.
    pub fn new(notes: SharedNotes, key: LendingKey) -> Self {
        Self { notes, key }
    }

    /// Lends the value of an `Authorization` header for one image, for half an hour.
    pub async fn lend(
        &self,
        image: &ImageName,
        digest: &Digest,
        authorization: &SecretString,
    ) -> Result<(), LentError> {
        credentials(authorization).ok_or(LentError::Unusable)?;
        let name = note(image, digest);
        let sealed = self.key.seal(authorization.expose_secret().as_bytes(), &name)?;
        Ok(self.notes.keep(&name, &sealed, LIFE).await?)
    }

    /// What was lent for this image, if anything was.
    pub async fn borrow(&self, image: &ImageName, digest: &Digest) -> Result<Option<Credentials>, LentError> {
        let name = note(image, digest);
        let Some(sealed) = self.notes.read(&name).await? else { return Ok(None) };
        Ok(credentials(&self.key.open(&sealed, &name)?))
    }

    /// Forgets it: the image has been pulled.
    pub async fn give_back(&self, image: &ImageName, digest: &Digest) -> Result<(), LentError> {
        Ok(self.notes.forget(&note(image, digest)).await?)
    }
}

fn note(image: &ImageName, digest: &Digest) -> NoteName {
    NoteName::new("lent", &image.at(digest))
}

/// The credentials in the value of an `Authorization` header.
fn credentials(authorization: &SecretString) -> Option<Credentials> {
    let (scheme, value) = authorization.expose_secret().split_once(' ')?;
    let value = value.trim();
    if value.is_empty() || value.len() > LONGEST || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(Credentials::Token(value.into())),
        "basic" => {
            let pair = base64::engine::general_purpose::STANDARD.decode(value).ok()?;
            let pair = String::from_utf8(pair).ok()?;
            let (username, password) = pair.split_once(':').filter(|(username, _)| !username.is_empty())?;
            Some(Credentials::Basic { username: username.to_owned(), password: password.into() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::store::Notes;
    use crate::store::embedded::EmbeddedStore;

    fn shown(credentials: Option<&Credentials>) -> String {
        match credentials {
            Some(Credentials::Basic { username, password }) => {
                format!("{username}:{}", password.expose_secret())
            }
            Some(Credentials::Token(token)) => format!("token {}", token.expose_secret()),
            Some(other) => format!("{other:?}"),
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn authorizations_are_basic_or_bearer() {
        for (header, expected) in [
            ("Basic cm9ib3QkeDp5", "robot$x:y"),
            ("basic cm9ib3QkeDp5", "robot$x:y"),
            ("Bearer abc.def", "token abc.def"),
            ("Basic %%", "nothing"),
            ("Basic bm9jb2xvbg==", "nothing"),
            ("Bearer ", "nothing"),
            ("Bearer a b", "nothing"),
            ("Bearer a\r\nHost: x", "nothing"),
            ("Digest x", "nothing"),
            ("", "nothing"),
        ] {
            assert_eq!(shown(credentials(&header.into()).as_ref()), expected, "{header:?}");
        }
    }

    #[tokio::test]
    async fn i8_lent_credentials_are_for_one_image_and_sealed_where_they_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(EmbeddedStore::open(&folder.path().join("store")).unwrap());
        let lent = LentCredentials::new(store.clone(), LendingKey::new(&"a secret of the site".into()));
        let (image, digest): (ImageName, _) = ("r.io/team/app".parse().unwrap(), Digest::of(b"image"));
        lent.lend(&image, &digest, &"Basic cm9ib3QkeDp5".into()).await.unwrap();

        let kept = store.read(&note(&image, &digest)).await.unwrap().unwrap();
        for secret in [b"cm9ib3QkeDp5".as_slice(), b"robot$x"] {
            assert!(!kept.windows(secret.len()).any(|window| window == secret));
        }
        let borrowed = lent.borrow(&image, &digest).await.unwrap();
        assert_eq!(shown(borrowed.as_ref()), "robot$x:y");
        assert!(lent.borrow(&image, &Digest::of(b"other")).await.unwrap().is_none());
        assert!(lent.borrow(&"r.io/team/other".parse().unwrap(), &digest).await.unwrap().is_none());

        let other_key = LentCredentials::new(store.clone(), LendingKey::of_this_process().unwrap());
        assert!(matches!(other_key.borrow(&image, &digest).await, Err(LentError::Sealed)));
        let moved = note(&image, &Digest::of(b"other"));
        store.keep(&moved, &kept, LIFE).await.unwrap();
        assert!(matches!(lent.borrow(&image, &Digest::of(b"other")).await, Err(LentError::Sealed)));

        lent.give_back(&image, &digest).await.unwrap();
        assert!(lent.borrow(&image, &digest).await.unwrap().is_none());
        let refused = lent.lend(&image, &digest, &"Digest x".into()).await;
        assert!(matches!(refused, Err(LentError::Unusable)));
    }

    #[test]
    fn whatever_is_kept_under_the_name_opening_it_never_panics() {
        let key = LendingKey::new(&"k".into());
        let name = NoteName::new("lent", "x");
        let sealed = key.seal(b"Bearer t", &name).unwrap();
        assert_eq!(key.open(&sealed, &name).unwrap().expose_secret(), "Bearer t");
        for cut in 0..sealed.len() {
            assert!(key.open(&sealed[..cut], &name).is_err());
        }
        assert!(!format!("{key:?}").contains(&format!("{:?}", key.0)));
    }
}
