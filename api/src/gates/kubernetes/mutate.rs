//! `mutate`: tags become the digests that they stand for at this moment (I12), `app:1` → `app:1@sha256:…`.
//!
//! It never denies: `validate` comes after it and decides, about the very digest that was pinned. What cannot be
//! resolved stays as it is. Called again it finds digests and changes nothing. Of an update only what is new is
//! touched: changing the image of a running container would restart it.

use std::time::Instant;

use futures_util::future::join_all;
use serde::Serialize;
use shared::model::digest::Digest;

use super::change::Change;
use super::image::{Holder, NamedImage};
use super::pod::List;
use super::review::{Admission, Reply};
use super::wording;
use crate::gates::Gates;

/// The patch that pins the object's tags.
pub(super) async fn pin(gates: &Gates, admission: &Admission<'_>, deadline: Instant) -> Reply {
    // What has the wrong shape, `validate` denies.
    let Ok(Change::Pod(change)) = Change::of(admission) else { return Reply::default() };
    let ephemeral_only = admission.sub_resource == Some("ephemeralcontainers");
    // The subresource may change nothing else.
    let images: Vec<&NamedImage<'_>> =
        change.images.iter().filter(|image| !ephemeral_only || is_ephemeral(image)).collect();
    let pins = join_all(images.iter().map(|image| gates.pin(image.image, deadline))).await;
    let mut operations = Vec::new();
    let mut warnings = Vec::new();
    for (image, pin) in images.into_iter().zip(pins) {
        match pin {
            Ok(Some(digest)) => operations.extend(replacement(image.pointer(), image.image, &digest)),
            Ok(None) => {}
            Err(reason) => warnings.push(format!("{}: its tag is not pinned: {reason}", image.owner())),
        }
    }
    let patch =
        (!operations.is_empty()).then(|| serde_json::to_vec(&operations).expect("a patch has only strings"));
    Reply { patch, warnings: wording::fit(warnings), ..Reply::default() }
}

fn is_ephemeral(image: &NamedImage<'_>) -> bool {
    matches!(&image.holder, Holder::Container(container) if container.list == List::Ephemeral)
}

/// One operation of a JSON Patch, RFC 6902.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Operation {
    /// Fails the patch if somebody has changed the object meanwhile.
    Test {
        path: String,
        value: String,
    },
    Replace {
        path: String,
        value: String,
    },
}

/// The pointer has only words of ours and numbers, so that nothing in it has to be escaped.
fn replacement(path: String, image: &str, digest: &Digest) -> [Operation; 2] {
    [
        Operation::Test { path: path.clone(), value: image.to_owned() },
        Operation::Replace { path, value: format!("{image}@{digest}") },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// What the API server does with a patch.
    fn apply(object: &mut Value, operations: &[Operation]) {
        for operation in operations {
            match operation {
                Operation::Test { path, value } => assert_eq!(object.pointer(path), Some(&json!(value))),
                Operation::Replace { path, value } => {
                    *object.pointer_mut(path).expect("it is there") = json!(value);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_patch_pins_images_and_changes_nothing_else(
            names in prop::collection::vec("[a-z]{1,8}(:[a-z0-9]{1,4})?", 1..5), label in "\\PC{0,20}",
        ) {
            let containers: Vec<Value> =
                names.iter().map(|image| json!({"name": "c", "image": image, "env": [{"name": label}]})).collect();
            let object = json!({"metadata": {"labels": {"a/b~c": label}}, "spec": {"containers": containers}});
            let digest = Digest::of(b"image");
            let at = |at| format!("/spec/containers/{at}/image");
            let operations: Vec<Operation> =
                names.iter().enumerate().flat_map(|(number, image)| replacement(at(number), image, &digest)).collect();
            let mut patched = object.clone();
            apply(&mut patched, &operations);
            for (number, name) in names.iter().enumerate() {
                let image = patched.pointer_mut(&at(number)).unwrap();
                prop_assert_eq!(&*image, &json!(format!("{name}@{digest}")));
                *image = json!(name);
            }
            prop_assert_eq!(patched, object);
        }
    }
}
