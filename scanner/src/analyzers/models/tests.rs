//! Real pickles, and models written as their formats say.

use proptest::prelude::*;
use shared::model::package::Purl;

use super::super::lock::sample::analyze;
use super::*;

/// What is said of a file: purls, then severity and title.
fn check(path: &str, content: &[u8], expected: &[&str]) {
    let found = analyze(&Models, path, content);
    let purls = found.packages.iter().map(|found| Purl::new(&found.package, None).to_string());
    let observed =
        found.observations.iter().map(|observed| format!("{} {}", observed.severity, observed.title));
    assert_eq!(purls.chain(observed).collect::<Vec<_>>(), expected, "{path}");
}

fn gguf(pairs: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut content = [&b"GGUF"[..], &3_u32.to_le_bytes(), &0_u64.to_le_bytes()].concat();
    content.extend((pairs.len() as u64 + 2).to_le_bytes());
    // A number and an array of texts before them.
    content.extend(
        [text("general.file_type"), 4_u32.to_le_bytes().to_vec(), 7_u32.to_le_bytes().to_vec()].concat(),
    );
    content
        .extend([text("general.tags"), 9_u32.to_le_bytes().to_vec(), 8_u32.to_le_bytes().to_vec()].concat());
    content.extend([1_u64.to_le_bytes().to_vec(), text("chat")].concat());
    for (key, value) in pairs {
        content.extend([text(key), 8_u32.to_le_bytes().to_vec(), text(value)].concat());
    }
    content
}

fn safetensors(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 16]].concat()
}

#[test]
fn a_model_is_called_as_it_says() {
    let llama = gguf(&[
        ("general.architecture", "llama"),
        ("general.name", "Tiny Llama"),
        ("general.version", "v1.1"),
    ]);
    check("m/a.gguf", &llama, &["pkg:generic/Tiny%20Llama@v1.1?architecture=llama&format=gguf"]);
    check("m/a.gguf", b"GGUF", &["pkg:generic/a.gguf?format=gguf"]);
    let header = r#"{"__metadata__":{"format":"pt","modelspec.title":"x"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    check("m/a.safetensors", &safetensors(header), &["pkg:generic/x?format=safetensors"]);
    check("m/a.safetensors", &safetensors(r#"{"w":1}"#), &["pkg:generic/a.safetensors?format=safetensors"]);
    check("m/a.safetensors", &safetensors(header)[..20], &["pkg:generic/a.safetensors?format=safetensors"]);
}

/// Written by gguf 0.19, safetensors and NumPy.
#[test]
fn files_of_the_real_tools_are_read() {
    let tiny = "pkg:generic/Tiny@v1.1?architecture=llama&format=gguf";
    check("m/tiny.gguf", include_bytes!("../../../fixtures/models/tiny.gguf"), &[tiny]);
    let tiny = include_bytes!("../../../fixtures/models/tiny.safetensors");
    check("m/tiny.safetensors", tiny, &["pkg:generic/Tiny?format=safetensors"]);
    check("m/numpy.pkl", include_bytes!("../../../fixtures/models/numpy.pkl"), &[]);
}

/// `pickle.dumps(X(), protocol)` of a class whose `__reduce__` is `(os.system, ("id",))`, by CPython 3.
const SYSTEM: [&[u8]; 3] = [
    b"cposix\nsystem\np0\n(Vid\np1\ntp2\nRp3\n.",
    b"\x80\x02cposix\nsystem\nq\0X\x02\0\0\0idq\x01\x85q\x02Rq\x03.",
    b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94.",
];

#[test]
fn a_pickle_that_runs_something_is_told_of() {
    for content in SYSTEM {
        check("m/a.pkl", content, &["high A pickle: loading it can run anything by posix.system"]);
    }
    let torch = [b"PK\x03\x04\x14\0archive/data.pklFB\0\0ZZ", SYSTEM[1]].concat();
    check("m/a.pt", &torch, &["high A pickle: loading it can run anything by posix.system"]);
    // Names by what was remembered.
    let recalled = b"\x80\x04\x8c\x08builtins\x94\x8c\x04eval\x940\x300h\0h\x01\x93.";
    check("a.pkl", recalled, &["high A pickle: loading it can run anything by builtins.eval"]);
    check(
        "a.pkl",
        b"\x80\x02csklearn.svm\nSVC\nq\0)\x81.",
        &["negligible A pickle: loading it makes objects of sklearn.svm.SVC"],
    );
    check("a.pkl", b"\x80\x04\x95\x0b\0\0\0\0\0\0\0}\x94\x8c\x01a\x94K\x01s.", &[]);
    check("a.pkl", b"\x80\x02ccollections\nOrderedDict\nq\0)Rq\x01.", &[]);
    check("a.pkl", b"cnot a pickle\nbut a text\n", &[]);
}

proptest! {
    #[test]
    fn no_bytes_panic(content: Vec<u8>, at in 0..300_usize, byte: u8) {
        for start in [&b""[..], b"GGUF\x03\0\0\0", b"\x80\x04", b"PK\x03\x04data.pkl\x80\x02", &[9, 0, 0, 0, 0, 0, 0, 0, b'{']] {
            analyze(&Models, "a.pkl", &[start, &content].concat());
        }
        for mut sample in [gguf(&[("general.name", "x")]), safetensors("{}"), SYSTEM[2].to_vec()] {
            let at = at % sample.len();
            sample[at] = byte;
            analyze(&Models, "a", &sample);
        }
    }
}
