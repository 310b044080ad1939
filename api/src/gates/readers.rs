//! What reads foreign bytes for the gates, without what answers: for whoever tries them with bytes of every kind.
//!
//! `fuzz/` does, and the property below. A reader returns whether it found a question in the bytes; whatever
//! they are, it returns.

use actix_web::http::Method;

use super::{gatekeeper, kubernetes, kyverno, pull};
use crate::harbor;

/// A reader, by the name of its gate.
pub type Reader = (&'static str, fn(&[u8]) -> bool);

/// Every reader.
pub const ALL: &[Reader] = &[
    ("kubernetes", kubernetes::names_a_pod),
    ("image-policy", kubernetes::names_images),
    ("gatekeeper", |bytes| gatekeeper::parse(bytes).is_ok()),
    ("kyverno", |bytes| kyverno::parse(bytes).is_ok()),
    ("pull", |bytes| pull::is_gated(&Method::GET, &String::from_utf8_lossy(bytes))),
    ("harbor", harbor::asks_for_a_scan),
    ("harbor-ticket", |bytes| harbor::is_a_ticket(&String::from_utf8_lossy(bytes))),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_stop_a_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for (_, read) in ALL {
                read(&bytes);
            }
        }

        #[test]
        fn no_json_stops_a_reader(text in r#"[\[\]{}":,a-z0-9@/%.]{0,120}"#) {
            let body = format!(
                r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"1","operation":"CREATE",
                "kind":{{"group":"","kind":"Pod"}},"object":{{"spec":{{{text}}}}}}},"spec":{{{text}}},"image":"{text}","keys":[{text}]}}"#
            );
            for (_, read) in ALL {
                read(body.as_bytes());
            }
        }
    }
}
