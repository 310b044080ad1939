//! Samples: `ClrLoader.dll` of clr_loader and a launcher of setuptools, both from PyPI.

use proptest::prelude::*;

use super::super::executable::sample;
use super::*;

fn analyze(path: &str, content: &[u8]) -> Vec<String> {
    let candidate = Candidate {
        path: path.as_bytes(),
        size: content.len() as u64,
        mode: 0,
        head: &content[..content.len().min(64)],
    };
    if !PeVersion.wants(&candidate) {
        return Vec::new();
    }
    let found = PeVersion.analyze(&CapturedFile { path, mode: 0, content }, &Limits::default());
    let packages = found.packages.into_iter().map(|found| found.package);
    packages
        .map(|it| format!("{}/{}@{} {:?}", it.kind.purl_type(), it.name, it.version, it.evidence))
        .collect()
}

/// A block as the resource compiler writes it.
fn block(key: &str, value: &[u8], children: &[Vec<u8>]) -> Vec<u8> {
    let mut block = vec![0; BLOCK_HEADER];
    block.extend(key.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
    block.resize(aligned(block.len()), 0);
    block.extend(value);
    for child in children {
        block.resize(aligned(block.len()), 0);
        block.extend(child);
    }
    let length = u16::try_from(block.len()).unwrap().to_le_bytes();
    block[..2].copy_from_slice(&length);
    block
}

fn resource(texts: &[(&str, &str)]) -> Vec<u8> {
    let utf16 = |text: &str| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let strings: Vec<_> = texts.iter().map(|(key, value)| block(key, &utf16(value), &[])).collect();
    let table = block("040904b0", &[], &strings);
    let variables = block("VarFileInfo", &[], &[block("Translation", &[9, 4, 0xb0, 4], &[])]);
    let information = block("StringFileInfo", &[], &[table]);
    block("VS_VERSION_INFO", &[0xbd; FIXED_INFORMATION], &[variables, information])
}

#[test]
fn texts_are_read_from_the_resource() {
    let texts = Texts::of(&resource(&[
        ("CompanyName", "Newtonsoft"),
        ("FileVersion", "13.0.3.27908"),
        ("ProductName", "Json.NET"),
        ("ProductVersion", "13.0.3+0a2e291c0d9c0c7675d445703e51750363a549ef"),
        ("ProductVersion", "1.0"),
    ]));
    let said = |text: &str| Some(text.to_owned());
    let expected = Texts {
        product: said("Json.NET"),
        product_version: said("13.0.3+0a2e291c0d9c0c7675d445703e51750363a549ef"),
        file_version: said("13.0.3.27908"),
    };
    assert_eq!(texts, expected);
    assert_eq!(Texts::of(b""), Texts::default());
    assert_eq!(Texts::of(&[0; 64]), Texts::default());
}

#[test]
fn what_stands_behind_a_version_is_no_part_of_it() {
    for (text, expected) in [
        ("13.0.3+0a2e291c", Some("13.0.3")),
        ("8.0.1 @Commit: bf5e279", Some("8.0.1")),
        ("8.0.1-preview.2", Some("8.0.1-preview.2")),
        ("4, 0, 0, 1", None),
        ("v4", None),
        ("", None),
    ] {
        assert_eq!(version(text), expected, "{text}");
    }
}

#[test]
fn an_assembly_is_the_package_of_its_name_and_a_program_is_listed_on_windows() {
    let program = |is_assembly, versions: (&str, &str)| Program {
        is_assembly,
        texts: Texts {
            product: Some("Some Product".to_owned()),
            product_version: Some(versions.0.to_owned()),
            file_version: Some(versions.1.to_owned()),
        },
    };
    for (path, is_assembly, versions, expected) in [
        (
            "app/Newtonsoft.Json.dll",
            true,
            ("13.0.3+0a", "1.0"),
            Some(("Newtonsoft.Json", "13.0.3", Evidence::Recognised)),
        ),
        ("app/A.dll", true, ("beta", "1.0"), Some(("A", "1.0", Evidence::Recognised))),
        ("app/App.exe", true, ("1.0", "1.0"), Some(("App", "1.0", Evidence::Unmatched))),
        ("Files/x/y.dll", false, ("2.1", "1.0"), Some(("some-product", "2.1", Evidence::Unmatched))),
        ("app/y.dll", false, ("2.1", "1.0"), None),
        ("app/A.dll", true, ("", ""), None),
    ] {
        let package = program(is_assembly, versions).package(path);
        let package = package.as_ref().map(|it| (it.name.as_str(), it.version.as_str(), it.evidence));
        assert_eq!(package, expected, "{path}");
    }
}

#[test]
fn real_programs_are_read() {
    let assembly = include_bytes!("../../../fixtures/ClrLoader.dll");
    assert_eq!(analyze("app/ClrLoader.dll", assembly), ["nuget/ClrLoader@1.0.0 Recognised"]);
    assert_eq!(analyze("Files/app/clrloader.DLL", assembly).len(), 1);
    for path in [
        "app/ClrLoader.so",
        "app/ClrLoader.resources.dll",
        "sdk/packs/X/ClrLoader.dll",
        "Files/Windows/ClrLoader.dll",
    ] {
        assert_eq!(analyze(path, assembly), [""; 0], "{path}");
    }
    for (format, file) in sample::every_format(&[sample::Section::constants(".text", b"x")]) {
        assert_eq!(analyze("Files/a.dll", &file), [""; 0], "{format}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(content: Vec<u8>, at: prop::sample::Index, value: u8) {
        Texts::of(&content);
        let mut texts = resource(&[("ProductName", "a"), ("ProductVersion", "1.2")]);
        let place = at.index(texts.len());
        texts[place] = value;
        Texts::of(&texts);
        let mut program = include_bytes!("../../../fixtures/ClrLoader.dll").to_vec();
        let place = at.index(program.len());
        program[place] = value;
        analyze("a.dll", &program);
        analyze("a.dll", &program[..place]);
    }
}
