//! Version orders: every scheme is a total order over the texts that it accepts. Sorting by one that is none would panic.
//!
//! The first byte chooses the scheme, the lines after it are three versions.

#![no_main]

use std::cmp::Ordering;

use libfuzzer_sys::fuzz_target;
use scanner::advisories::versions::Scheme;

const SCHEMES: [Scheme; 12] = [
    Scheme::Dpkg,
    Scheme::Apk,
    Scheme::Rpm,
    Scheme::Semver,
    Scheme::Pep440,
    Scheme::Maven,
    Scheme::NuGet,
    Scheme::RubyGems,
    Scheme::Composer,
    Scheme::Cran,
    Scheme::Hackage,
    Scheme::Pub,
];

fuzz_target!(|text: &str| {
    let Some(choice) = text.chars().next() else { return };
    let scheme = SCHEMES[choice as usize % SCHEMES.len()];
    let lines: Vec<&str> = text[choice.len_utf8()..].split('\n').take(3).collect();
    for one in &lines {
        let same = scheme.compare(one, one);
        assert!(matches!(same, None | Some(Ordering::Equal)), "{scheme:?} {one:?} is not itself");
    }
    let accepted: Vec<&str> = lines.into_iter().filter(|line| scheme.compare(line, line).is_some()).collect();
    let compare = |a: &str, b: &str| scheme.compare(a, b).expect("both were accepted");
    for a in &accepted {
        for b in &accepted {
            assert_eq!(compare(a, b), compare(b, a).reverse(), "{scheme:?} {a:?} {b:?}");
        }
    }
    if let [a, b, c] = accepted[..] {
        for [a, b, c] in [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
            if compare(a, b).is_le() && compare(b, c).is_le() {
                assert!(compare(a, c).is_le(), "{scheme:?} {a:?} {b:?} {c:?}");
            }
        }
    }
});
