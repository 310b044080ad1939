//! The names of everything that is kept in Redis.
//!
//! | key | value |
//! |---|---|
//! | `tw:report:{digest}` | string: the head of the report, as `record` describes it |
//! | `tw:part:{digest of its JSON}` | string: what several reports may say alike, as `record` describes it |
//! | `tw:verdict:{digest}` | hash: policy name → verdict; `@revisions` of the report behind them, `@generation` of the verdicts, `@until` when they expire |
//! | `tw:history:{digest}` | stream: `c` → a change of a verdict |
//! | `tw:announced:{digest}` | string: the id of the last change in it that was announced |
//! | `tw:lease:{digest}` | hash: `owner`, `fence`, `until` in milliseconds; the fence outlives the lease for an hour |
//! | `tw:pending:{digest}` | string: the marker, which expires at its `until` |
//! | `tw:image:{digest}` | sorted set: place → time of the last sighting in microseconds |
//! | `tw:layer:{layer digest}:analyzer revision` | string: what the layer contains, as whoever scanned it writes it |
//! | `tw:note:{room:name}` | string: 16 bytes that tell one writer from another, then the value of a note |
//! | `tw:known:x` | sorted set: the digests with hex digit x first that have a report, all with one score |
//! | `tw:waiting:x` | sorted set: the digests with hex digit x first that wait for a verdict → the `until` of their markers in milliseconds |
//! | `tw:feed` | stream: `c` → a change of any digest, as they were announced |
//! | `tw:probe` | string: empty, written to see whether anything can be |
//! | `tw:news` | channel: digests about which something was stored, and `feed` |
//!
//! The braces are literal: they make the digest the hash tag, so that all keys of a digest live in one
//! slot (Redis Cluster specification, "Hash tags") and one script may touch them all.

use crate::model::digest::Digest;
use crate::model::report::Revision;
use crate::store::NoteName;

/// The field of the verdict hash that names the revisions of the stored report. No policy name has an `@`.
pub(super) const REVISIONS: &str = "@revisions";
/// The field of the verdict hash that says when it expires, in milliseconds since 1970.
pub(super) const UNTIL: &str = "@until";

/// The field of the verdict hash that is another one whenever a verdict in it is.
pub(super) const GENERATION: &str = "@generation";

/// Names keys; everything begins with the prefix of this installation.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub(super) fn report(&self, digest: &Digest) -> String {
        self.key("report", digest)
    }

    pub(super) fn part(&self, name: &Digest) -> String {
        self.key("part", name)
    }

    pub(super) fn verdict(&self, digest: &Digest) -> String {
        self.key("verdict", digest)
    }

    pub(super) fn lease(&self, digest: &Digest) -> String {
        self.key("lease", digest)
    }

    pub(super) fn pending(&self, digest: &Digest) -> String {
        self.key("pending", digest)
    }

    pub(super) fn image(&self, digest: &Digest) -> String {
        self.key("image", digest)
    }

    pub(super) fn history(&self, digest: &Digest) -> String {
        self.key("history", digest)
    }

    pub(super) fn announced(&self, digest: &Digest) -> String {
        self.key("announced", digest)
    }

    pub(super) fn known(&self, first_digit: char) -> String {
        format!("{}:known:{first_digit}", self.prefix)
    }

    pub(super) fn waiting(&self, first_digit: char) -> String {
        format!("{}:waiting:{first_digit}", self.prefix)
    }

    pub(super) fn feed(&self) -> String {
        format!("{}:feed", self.prefix)
    }

    pub(super) fn note(&self, name: &NoteName) -> String {
        format!("{}:note:{{{}}}", self.prefix, name.as_str())
    }

    pub(super) fn layer(&self, layer: &Digest, revision: &Revision) -> String {
        format!("{}:{revision}", self.key("layer", layer))
    }

    pub(super) fn probe(&self) -> String {
        format!("{}:probe", self.prefix)
    }

    pub(super) fn news(&self) -> String {
        format!("{}:news", self.prefix)
    }

    fn key(&self, kind: &str, digest: &Digest) -> String {
        format!("{}:{kind}:{{{digest}}}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC16-CCITT (XMODEM), as the Redis Cluster specification defines it in its appendix.
    fn crc16(bytes: &[u8]) -> u16 {
        bytes.iter().fold(0, |crc: u16, &byte| {
            (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            })
        })
    }

    fn slot(key: &str) -> u16 {
        let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
        let hashed = match tag {
            Some((tag, _)) if !tag.is_empty() => tag,
            Some(_) | None => key,
        };
        crc16(hashed.as_bytes()) % 16384
    }

    #[test]
    fn all_keys_of_a_digest_share_a_slot() {
        assert_eq!(crc16(b"123456789"), 0x31c3, "the specification's own check value");
        let keys = Keys::new("tw");
        for content in [&b"one"[..], b"two", b"three"] {
            let digest = Digest::of(content);
            let of_digest = [
                keys.report(&digest),
                keys.verdict(&digest),
                keys.lease(&digest),
                keys.pending(&digest),
                keys.image(&digest),
                keys.history(&digest),
                keys.announced(&digest),
            ];
            for key in &of_digest {
                assert_eq!(slot(key), slot(digest.as_str()), "{key}");
            }
        }
        let empty = Digest::of(b"{}");
        assert_eq!(
            keys.report(&empty),
            "tw:report:{sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a}"
        );
    }
}
