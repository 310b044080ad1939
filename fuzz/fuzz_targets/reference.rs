//! Image references: whatever parses is printed, and what is printed parses back to the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Platform, Reference};

fuzz_target!(|text: &str| {
    if let Ok(reference) = text.parse::<Reference>() {
        let printed = reference.to_string();
        assert_eq!(printed.parse::<Reference>().as_ref(), Ok(&reference), "{printed}");
        assert!(!reference.name.to_string().contains(".."), "{printed} climbs");
    }
    if let Ok(name) = text.parse::<ImageName>() {
        assert_eq!(name.to_string().parse::<ImageName>().as_ref(), Ok(&name), "{name}");
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(platform) = text.parse::<Platform>() {
        assert_eq!(platform.to_string(), text);
    }
});
