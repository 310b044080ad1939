//! Routing keys of the topic exchange: `verdict.<decision>.<registry>.<repository>`.
//!
//! A topic exchange matches word by word, and words end at dots. So that people can bind what they mean, the
//! registry is one word and every path component of the repository is one:
//!
//! | image | key of a `fail` |
//! |---|---|
//! | `registry.example.com:5000/team/app` | `verdict.fail.registry_example_com:5000.team.app` |
//! | `docker.io/library/my.app` | `verdict.fail.docker_io.library.my_app` |
//! | nobody knows where it lives | `verdict.fail.-.-` |
//!
//! A dot within a word becomes `_`, slashes become the dots between words. `team/my.app` and `team/my_app` then
//! have the same key; whoever cares reads the body.

use crate::model::event::VerdictEvent;
use crate::model::image::ImageName;
use crate::model::verdict::Outcome;

/// The routing keys of an event: one a repository where the image was seen, the newest first.
pub fn routing_keys(event: &VerdictEvent) -> Vec<String> {
    let verdict = event.data.verdict;
    let mut keys: Vec<String> = Vec::new();
    for image in event.images() {
        let key = routing_key(verdict, &image);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        keys.push(format!("verdict.{verdict}.-.-"));
    }
    keys
}

fn routing_key(verdict: Outcome, image: &ImageName) -> String {
    let registry = image.registry.as_str().replace('.', "_");
    let repository = image.repository.as_str().replace('.', "_").replace('/', ".");
    format!("verdict.{verdict}.{registry}.{repository}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announce::sample::event;

    #[test]
    fn a_key_has_one_word_for_the_registry_and_one_for_each_component() {
        for (image, expected) in [
            ("registry.example.com:5000/team/app", "verdict.fail.registry_example_com:5000.team.app"),
            ("docker.io/library/my.app", "verdict.fail.docker_io.library.my_app"),
            ("localhost/a", "verdict.fail.localhost.a"),
        ] {
            assert_eq!(routing_key(Outcome::Fail, &image.parse().unwrap()), expected);
        }
    }

    #[test]
    fn every_repository_has_its_key_and_an_image_without_one_has_a_key_too() {
        let mut event = event();
        assert_eq!(
            routing_keys(&event),
            ["verdict.fail.registry_example_com:5000.team.app", "verdict.fail.mirror_example_com.team.app"]
        );
        event.data.places.clear();
        assert_eq!(routing_keys(&event), ["verdict.fail.-.-"]);
    }
}
