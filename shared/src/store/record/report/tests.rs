//! Recorded reports of every version still decode, and what is cut fits together again.

use proptest::prelude::*;

use super::*;
use crate::model::image::Platform;
use crate::model::layer::LayerIndex;
use crate::model::report::{Finding, Inventory};
use crate::model::sample;

/// Written before packages had qualifiers.
const WHOLE_V1: &[u8] = include_bytes!("report.v1.zst");
/// The same with a field more, which older builds pass over.
const WHOLE_V1_QUALIFIERS: &[u8] = include_bytes!("report.v1.qualifiers.zst");
/// A head, and its parts.
const HEAD_V2: &[u8] = include_bytes!("head.v2.zst");
const PARTS_V2: [&[u8]; 3] =
    [include_bytes!("part.v2.0.zst"), include_bytes!("part.v2.1.zst"), include_bytes!("part.v2.2.zst")];

fn image() -> Digest {
    Digest::of(b"a recorded image")
}

fn stored(report: &Report) -> (Vec<u8>, Vec<Vec<u8>>) {
    let cut = cut_report(report).unwrap();
    (cut.head, cut.parts.iter().map(|part| part.compressed().unwrap()).collect())
}

fn joined<B: AsRef<[u8]>>(head: &[u8], parts: Vec<B>) -> Result<Report, RecordError> {
    Head::decode(&image(), head)?.join(parts)
}

fn text(frame: &[u8]) -> String {
    String::from_utf8(inflate(frame, LARGEST_REPORT).unwrap()).unwrap()
}

#[test]
fn a_recorded_report_is_read_and_would_be_written_the_same_way() {
    let report = sample::report(&image());
    for whole in [WHOLE_V1, WHOLE_V1_QUALIFIERS] {
        assert_eq!(joined(whole, Vec::<&[u8]>::new()).unwrap(), report);
    }
    assert_eq!(joined(HEAD_V2, PARTS_V2.to_vec()).unwrap(), report);
    let (head, parts) = stored(&report);
    let changed = "the model changed what is at rest: add a version that reads both";
    assert_eq!(text(&head[1..]), text(&HEAD_V2[1..]), "{changed}");
    let texts = |parts: &[&[u8]]| parts.iter().map(|part| text(part)).collect::<Vec<_>>();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    assert_eq!(texts(&parts), texts(&PARTS_V2), "{changed}");
}

#[test]
fn images_on_one_base_share_what_the_base_brings() {
    let one = sample::report(&image());
    let mut other = sample::report(&Digest::of(b"another image"));
    let Subject::Image(inventory) = &mut other.subject else { panic!("it is an image") };
    // Comes first, so that every position changes.
    let mut added = inventory.packages[1].clone();
    (added.path, added.introduced_in) = ("app/a".to_owned(), LayerIndex(2));
    inventory.packages.insert(0, added);
    for finding in &mut other.findings {
        finding.package.0 += 1;
    }
    let names = |report: &Report| -> Vec<Digest> {
        cut_report(report).unwrap().parts.into_iter().map(|part| part.name).collect()
    };
    let (one, other) = (names(&one), names(&other));
    assert_eq!(one.len(), 3, "two layers with packages, one of them with findings");
    assert_eq!(other.len(), 4);
    assert!(one.iter().all(|name| other.contains(name)));
}

#[test]
fn what_does_not_fit_together_is_an_error() {
    let (head, parts) = stored(&sample::report(&image()));
    let damaged = |position: usize, with: &[u8]| {
        let mut damaged: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        damaged[position] = with;
        joined(&head, damaged)
    };
    for (read, expected) in [
        (joined(&head, parts[..2].to_vec()), "a part is missing"),
        (damaged(0, &parts[1]), "not what its name says"),
        (damaged(0, &[]), "decompressed"),
        (joined(&[], parts.clone()), "empty"),
        (joined(&[9, 1, 2], parts.clone()), "version 9"),
        (joined(&[1, 1, 2], parts.clone()), "decompressed"),
        (joined(&WHOLE_V1[..200], parts.clone()), "decompressed"),
        (joined(&head[..head.len() - 1], parts.clone()), "decompressed"),
        (Head::decode(&Digest::of(b"another image"), &head).map(|_| unreachable!()), "it is about"),
    ] {
        let error = read.expect_err(expected).to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
    let runs = |runs: &[Run]| mix(runs, vec![vec!['a'], vec!['b', 'c']], |_, _| Ok(()));
    assert!(runs(&[Run(1, 1), Run(0, 1), Run(1, 1)]).is_ok());
    for wrong in [&[Run(1, 1), Run(0, 1)][..], &[Run(1, 3)], &[Run(2, 1)], &[Run(0, u32::MAX)], &[]] {
        assert!(runs(wrong).is_err(), "{} runs", wrong.len());
    }
}

/// A report with packages of these layers, and findings about these positions, some of which do not exist.
fn report(layers: &[u8], about: &[u8], programs: &[u8]) -> Report {
    let mut report = sample::report(&image());
    let finding = report.findings[0].clone();
    let Subject::Image(inventory) = &mut report.subject else { panic!("it is an image") };
    let package = inventory.packages[0].clone();
    let packages = (0..).zip(layers).map(|(number, layer)| {
        let (path, introduced_in) = (format!("file-{}", number / 2), LayerIndex(u16::from(*layer)));
        crate::model::report::InstalledPackage { path, introduced_in, ..package.clone() }
    });
    **inventory = Inventory {
        platform: Some(Platform::linux_amd64()),
        packages: packages.collect(),
        programs: programs
            .iter()
            .map(|number| LinkedProgram { path: format!("file-{number}"), functions: Default::default() })
            .collect(),
        ..Inventory::default()
    };
    report.findings = (0..)
        .zip(about)
        .map(|(number, about)| Finding {
            id: format!("CVE-{number}"),
            package: PackageIndex(u32::from(*about)),
            ..finding.clone()
        })
        .collect();
    report
}

proptest! {
    #[test]
    fn a_report_is_put_together_as_it_was(
        layers in proptest::collection::vec(0..4_u8, 0..12),
        about in proptest::collection::vec(0..14_u8, 0..12),
        programs in proptest::collection::vec(0..8_u8, 0..6),
    ) {
        let report = report(&layers, &about, &programs);
        let (head, parts) = stored(&report);
        prop_assert_eq!(joined(&head, parts).unwrap(), report);
    }

    #[test]
    fn no_stored_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), cut: usize, flip: u8) {
        let report = sample::report(&image());
        let _ = joined(&bytes, vec![&bytes]);
        for recorded in [WHOLE_V1, HEAD_V2] {
            let mut damaged = recorded.to_vec();
            damaged[cut % recorded.len()] ^= flip;
            if let Ok(read) = joined(&damaged, PARTS_V2.to_vec()) {
                prop_assert_eq!(&read, &report, "damage is noticed");
            }
        }
        let mut parts = PARTS_V2.map(<[u8]>::to_vec);
        let part = &mut parts[cut % 3];
        let position = cut % part.len();
        part[position] ^= flip;
        if let Ok(read) = joined(HEAD_V2, parts.to_vec()) {
            prop_assert_eq!(read, report, "damage is noticed");
        }
    }
}
