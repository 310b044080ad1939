//! Key stores: a file in which a password protects private keys in, the fact that it is one out.
//!
//! Java's own, JKS and JCEKS: a magic number, version and count, then entries, 1 a private key, 2 a certificate, 3 a secret
//! key (`sun.security.provider.JavaKeyStore`). Those with certificates only, as Java comes with, are none. PKCS #12
//! (RFC 7292): a sequence that begins with version 3; what it holds is encrypted, so that its name has to promise a store.

use shared::model::observation::ObservationKind;
use shared::model::report::Severity;

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, FoundObservation, Trigger};
use crate::limits::Limits;

/// Recognises key stores.
pub struct KeyStore;

const JKS: &[u8] = b"\xfe\xed\xfe\xed";
const JCEKS: &[u8] = b"\xce\xce\xce\xce";

impl Analyzer for KeyStore {
    fn name(&self) -> &'static str {
        "key-store"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[
            Trigger::Magic(JKS),
            Trigger::Magic(JCEKS),
            Trigger::Extension(".p12"),
            Trigger::Extension(".pfx"),
            Trigger::Extension(".pkcs12"),
            // Since Java 9 files of these names mostly are PKCS #12 as well.
            Trigger::Extension(".jks"),
            Trigger::Extension(".keystore"),
        ]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        is_of_java(file.head) || is_pkcs12(file.head)
    }

    fn class(&self) -> FileClass {
        FileClass::Beginning
    }

    fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
        let title = if !is_of_java(file.content) {
            "A key store (PKCS #12), in which a password may protect a private key"
        } else if holds_key(file.content).unwrap_or(false) {
            "A key store of Java, in which a password protects a private key"
        } else {
            return Found::default();
        };
        Found { observations: vec![observation(title)], ..Found::default() }
    }
}

fn is_of_java(head: &[u8]) -> bool {
    head.starts_with(JKS) || head.starts_with(JCEKS)
}

/// A DER or BER sequence of whatever length whose first element is the number 3, and the next a sequence.
fn is_pkcs12(head: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = head else { return false };
    let more = if length & 0x80 == 0 { 0 } else { usize::from(length & 0x7f) };
    rest.get(more..).is_some_and(|content| content.starts_with(b"\x02\x01\x03\x30"))
}

/// Whether an entry of a store of Java is a key; `None` if the store ends before one is seen.
fn holds_key(content: &[u8]) -> Option<bool> {
    let mut reader = Reader(content.get(JKS.len()..)?);
    let version = reader.number::<4>()?;
    for _ in 0..reader.number::<4>()? {
        if reader.number::<4>()? != 2 {
            return Some(true);
        }
        // Alias and date, since version 2 the certificate's type, and the certificate.
        reader.text()?;
        reader.take(8)?;
        if version == 2 {
            reader.text()?;
        }
        let length = reader.number::<4>()?;
        reader.take(length)?;
    }
    Some(false)
}

/// What is left of a store. Numbers are big-endian.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, size: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(taken)
    }

    fn number<const BYTES: usize>(&mut self) -> Option<usize> {
        let bytes = self.take(BYTES)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn text(&mut self) -> Option<()> {
        let length = self.number::<2>()?;
        self.take(length).map(drop)
    }
}

/// Informational: who has the file needs its password, too.
fn observation(title: &str) -> FoundObservation {
    FoundObservation {
        rule: "TW-SEC-KEY-STORE".to_owned(),
        kind: ObservationKind::Secret,
        severity: Severity::Negligible,
        title: title.to_owned(),
        remediation:
            "Mount it when a container runs; see to it that its password is not in the image either."
                .to_owned(),
        inner_path: None,
        line: None,
        masked: None,
        fingerprint: None,
        controls: vec!["CIS-DI-4.10".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::analyze;
    use super::*;

    /// A store of Java with entries of these kinds.
    fn store(magic: &[u8], version: u8, kinds: &[u8]) -> Vec<u8> {
        let entry = |kind: &u8| {
            let alias = [&[0, 0, 0, *kind, 0, 2][..], b"me", &[0; 8]].concat();
            let kind = if version == 2 { &b"\0\x05X.509"[..] } else { b"" };
            [&alias, kind, &[0, 0, 0, 3], b"\x30\x01\x00"].concat()
        };
        let entries: Vec<u8> = kinds.iter().flat_map(entry).collect();
        [magic, &[0, 0, 0, version, 0, 0, 0, kinds.len() as u8], &entries].concat()
    }

    fn check(path: &str, content: &[u8], is_told: bool) {
        let found = analyze(&KeyStore, path, content).observations;
        let expected = if is_told { vec![("TW-SEC-KEY-STORE", Severity::Negligible)] } else { Vec::new() };
        let found: Vec<_> = found.iter().map(|found| (found.rule.as_str(), found.severity)).collect();
        assert_eq!(found, expected, "{path}: {content:?}");
    }

    #[test]
    fn a_store_of_java_is_told_of_if_it_holds_a_key() {
        for (version, kinds, is_told) in [
            (2, &[2, 1][..], true),
            (1, &[2, 2, 1], true),
            (2, &[3], true),
            (2, &[2, 2], false),
            (1, &[2], false),
            (2, &[], false),
        ] {
            for magic in [JKS, JCEKS] {
                check("app/server.jks", &store(magic, version, kinds), is_told);
                check("app/whatever", &store(magic, version, kinds), is_told);
            }
        }
        check("app/server.jks", &store(JKS, 2, &[2, 1])[..20], false);
    }

    #[test]
    fn pkcs12_is_told_of_by_its_name_and_its_beginning() {
        for (head, is_told) in [
            // As OpenSSL and keytool begin it, and in BER without a length.
            (&b"\x30\x82\x09\xc7\x02\x01\x03\x30\x82\x09\x8d\x06\x09"[..], true),
            (b"\x30\x80\x02\x01\x03\x30\x80\x06\x09", true),
            (b"\x30\x82\x04\xa4\x02\x01\x00\x02\x82\x01\x01\x00", false),
            (b"\x30\xff", false),
            (b"secret", false),
        ] {
            for path in ["app/server.p12", "app/me.pfx", "app/a.pkcs12", "app/a.jks", "app/.keystore"] {
                check(path, head, is_told);
            }
            check("app/server.der", head, false);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..40_usize, byte: u8) {
            analyze(&KeyStore, "a.p12", &content);
            analyze(&KeyStore, "a.jks", &[JKS, &content].concat());
            let mut store = store(JKS, 2, &[2, 1]);
            store[at] = byte;
            analyze(&KeyStore, "a.jks", &store);
        }
    }
}
