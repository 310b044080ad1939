//! Build information in every form that Go has written, in every format of executables.

use proptest::prelude::*;

use super::build_info::MARK;
use super::executable::sample::{self, Class, Order, Section};
use super::*;

const MODULES: &str = "path\texample.org/app\n\
    mod\texample.org/app\tv1.4.0\th1:a=\n\
    dep\tgolang.org/x/net\tv0.7.0\th1:b=\n\
    dep\tgithub.com/a/original\tv1.0.0\n\
    =>\tgithub.com/b/fork\tv1.0.1\th1:c=\n\
    dep\tgithub.com/a/local\tv2.0.0+incompatible\n\
    =>\t../local\t(devel)\t\n\
    build\tGOOS=linux\n";

const PACKAGES: [&str; 5] = [
    "stdlib 1.20.1 Embedded",
    "example.org/app v1.4.0 Embedded",
    "golang.org/x/net v0.7.0 Embedded",
    "github.com/b/fork v1.0.1 Embedded",
    "github.com/a/local v2.0.0+incompatible Unmatched",
];

fn guarded(modules: &str) -> Vec<u8> {
    [&[b'<'; 16], modules.as_bytes(), &[b'>'; 16]].concat()
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Build information since Go 1.18.
fn inline(version: &str, modules: &[u8]) -> Vec<u8> {
    let mut bytes = [MARK, &[8, 2], &[0; 16]].concat();
    for text in [version.as_bytes(), modules] {
        bytes.extend(varint(text.len()));
        bytes.extend(text);
    }
    bytes
}

/// Build information before Go 1.18, to be loaded as the section of this index.
fn pointers(version: &str, modules: &[u8], word: usize, order: Order, index: usize) -> Vec<u8> {
    let number = |value: u64| match order {
        Order::Little => value.to_le_bytes()[..word].to_vec(),
        Order::Big => value.to_be_bytes()[8 - word..].to_vec(),
    };
    let base = sample::address(index);
    let headers = base + 64;
    let texts = base + 128;
    let flags = u8::from(order == Order::Big);
    let mut bytes = [MARK, &[word as u8, flags]].concat();
    bytes.extend(number(headers));
    bytes.extend(number(headers + 2 * word as u64));
    bytes.resize(64, 0);
    bytes.extend(number(texts));
    bytes.extend(number(version.len() as u64));
    bytes.extend(number(texts + version.len() as u64));
    bytes.extend(number(modules.len() as u64));
    bytes.resize(128, 0);
    bytes.extend(version.as_bytes());
    bytes.extend(modules);
    bytes
}

fn analyze(content: &[u8]) -> Found {
    let file = CapturedFile { path: "usr/bin/app", mode: 0o755, content };
    read(&file, &Limits::default())
}

fn lines(found: &Found) -> Vec<String> {
    let packages = found.packages.iter().map(|found| {
        let package = &found.package;
        format!("{} {} {:?}", package.name, package.version, package.evidence)
    });
    let problems = found.problems.iter().map(|problem| problem.kind.to_string());
    packages.chain(problems).collect()
}

fn check(file: &[u8], expected: &[&str], case: &str) {
    assert_eq!(lines(&analyze(file)), expected, "{case}");
}

/// What a program with these module lines is said to contain, the standard library left out.
fn check_modules(modules: &str, expected: &[&str]) {
    let info = inline("go1.20.1", &guarded(modules));
    let file = sample::elf(Class::Elf64, Order::Little, &[Section::variables(".go.buildinfo", &info)]);
    let lines = lines(&analyze(&file));
    assert_eq!(lines[1..], *expected, "{modules:?}");
}

#[test]
fn the_inline_form_is_found_in_every_format() {
    let info = inline("go1.20.1", &guarded(MODULES));
    for name in [".data", "__go_b"] {
        for (format, file) in sample::every_format(&[Section::variables(name, &info)]) {
            check(&file, &PACKAGES, &format);
        }
    }
    for order in [Order::Little, Order::Big] {
        let file = sample::elf(Class::Elf64, order, &[Section::constants(".go.buildinfo", &info)]);
        check(&file, &PACKAGES, "ELF section");
    }
    let file = sample::macho(&[Section::constants("__go_buildinfo", &info)]);
    check(&file, &PACKAGES, "Mach-O section");
    // Somewhere else, behind headers that cannot be read.
    let broken = [&b"\x7fELF"[..], &[0xee; 60], &info].concat();
    check(&broken, &PACKAGES, "no headers");
}

#[test]
fn the_pointer_form_is_followed_in_both_byte_orders_and_word_sizes() {
    let modules = guarded(MODULES);
    for (class, word) in [(Class::Elf32, 4), (Class::Elf64, 8)] {
        for order in [Order::Little, Order::Big] {
            let info = pointers("go1.20.1", &modules, word, order, 1);
            let sections = [Section::constants(".text", b"code"), Section::variables(".go.buildinfo", &info)];
            check(&sample::elf(class, order, &sections), &PACKAGES, &format!("{class:?} {order:?}"));
        }
    }
    let info = pointers("go1.20.1", &modules, 8, Order::Little, 1);
    let sections = [Section::constants(".text", b"code"), Section::variables(".data", &info)];
    check(&sample::pe(&sections), &PACKAGES, "PE");
    check(&sample::macho(&sections), &PACKAGES, "Mach-O");
}

#[test]
fn a_mark_among_constants_does_not_hide_the_real_one() {
    let mut constants = [MARK, &[8, 2], &[0; 16], &[3], b"xyz"].concat();
    constants.resize(64, 0);
    constants.extend(MARK);
    let info = inline("go1.20.1", &guarded(MODULES));
    for name in [".data", ".go.bi"] {
        let sections = [Section::constants(".rodata", &constants), Section::variables(name, &info)];
        for (format, file) in sample::every_format(&sections) {
            check(&file, &PACKAGES, &format);
        }
    }
    for (format, file) in sample::every_format(&[Section::constants(".rodata", &constants)]) {
        check(&file, &[], &format);
    }
}

#[test]
fn i4_damaged_build_information_is_a_blocking_problem() {
    let whole = inline("go1.20.1", &guarded(MODULES));
    let huge = [MARK, &[8, 2], &[0; 16], &[0xff; 9], &[1], b"go1.20"].concat();
    let endless = [MARK, &[8, 2], &[0; 16], &[0xff; 40]].concat();
    let dangling = pointers("go1.20.1", b"", 8, Order::Little, 7);
    for (case, info) in
        [("cut", &whole[..34]), ("huge", &huge), ("endless", &endless), ("dangling", &dangling)]
    {
        let file = sample::elf(Class::Elf64, Order::Little, &[Section::variables(".go.buildinfo", info)]);
        check(&file, &["analyzer-failed"], case);
    }
    check(&sample::elf(Class::Elf64, Order::Little, &[]), &[], "an executable of another language");
}

#[test]
fn a_main_module_without_a_release_is_inventory_only() {
    for (version, evidence) in [
        ("v1.4.0", "Embedded"),
        ("v1.4.1-0.20240101000000-abcdefabcdef", "Embedded"),
        ("(devel)", "Unmatched"),
        ("", "Unmatched"),
        ("v0.0.0-20240101000000-abcdefabcdef", "Unmatched"),
        ("v1.4.0+dirty", "Unmatched"),
    ] {
        let line = format!("example.org/app {version} {evidence}");
        check_modules(&format!("mod\texample.org/app\t{version}\t\n"), &[&line]);
    }
    // What the build says of it names it, and is no proof.
    check_modules(
        "mod\texample.org/app\t(devel)\t\nbuild\t-ldflags=\"-s -X main.version=v1.4.0\"\n",
        &["example.org/app v1.4.0 Unmatched"],
    );
    check_modules(
        "path\tcommand-line-arguments\ndep\ta.b/c\tv0.0.0-2019-abc\n",
        &["a.b/c v0.0.0-2019-abc Embedded"],
    );
}

#[test]
fn replacements_are_what_was_compiled() {
    for (replacement, expected) in [
        ("=>\tb.c/fork\tv2.0.0\th1:", "b.c/fork v2.0.0 Embedded"),
        ("=>\t./fork\t(devel)\t", "a.b/c v1.0.0 Unmatched"),
        ("=>\t/src/fork\t\t", "a.b/c v1.0.0 Unmatched"),
        ("=>\tC:\\fork\t(devel)\t", "a.b/c v1.0.0 Unmatched"),
    ] {
        check_modules(&format!("dep\ta.b/c\tv1.0.0\n{replacement}\n"), &[expected]);
    }
    check_modules("=>\tb.c/fork\tv2.0.0\ndep\n", &["record-skipped"]);
    check_modules("dep\ta.b/c\t(devel)\t\n", &["a.b/c (devel) Unmatched"]);
}

#[test]
fn toolchain_versions_become_semantic_versions() {
    for (text, expected) in [
        ("go1.21.5", Some(("1.21.5", None))),
        ("go1.21", Some(("1.21.0", None))),
        ("go1.21rc2", Some(("1.21.0-rc.2", None))),
        ("go1.18beta1", Some(("1.18.0-beta.1", None))),
        ("go1.8.5rc5", Some(("1.8.5-rc.5", None))),
        ("go1.21.0 X:boringcrypto,arenas", Some(("1.21.0", None))),
        ("go1.26-X:nodwarf5", Some(("1.26.0", None))),
        ("go1.22.9 (Red Hat 1.22.9-1.el9)", Some(("1.22.9", Some("Red Hat 1.22.9-1.el9")))),
        (
            "go1.22.9 (Red Hat 1.22.9-1.el9) X:strictfipsruntime",
            Some(("1.22.9", Some("Red Hat 1.22.9-1.el9"))),
        ),
        ("go1.18.1b7", Some(("1.18.1", Some("b7")))),
        ("go1.21.13-1", Some(("1.21.13", Some("-1")))),
        ("devel +abc", None),
        ("devel go1.23-abcdef", None),
        ("go", None),
        ("gopher", None),
        ("go1.2.3.4", None),
    ] {
        let expected = expected.map(|(version, note)| (version.to_owned(), note.map(str::to_owned)));
        assert_eq!(release(text), expected, "{text:?}");
    }
    let devel = standard_library("devel +abc");
    assert_eq!(devel.evidence, Evidence::Unmatched);
}

#[test]
fn a_program_without_modules_still_has_a_standard_library() {
    let info = inline("go1.20.1", b"");
    let file = sample::elf(Class::Elf64, Order::Little, &[Section::variables(".go.buildinfo", &info)]);
    check(&file, &["stdlib 1.20.1 Embedded", "record-skipped"], "no modules");
}

/// The section as Go 1.26 wrote it for linux/amd64, with a module replaced by a directory.
const BUILT: &[u8] = include_bytes!("../../../fixtures/go1.26.go.buildinfo");

#[test]
fn what_the_go_tool_wrote_is_read() {
    let file = sample::elf(Class::Elf64, Order::Little, &[Section::variables(".go.buildinfo", BUILT)]);
    let expected = [
        "stdlib 1.26.8 Embedded",
        "example.org/app (devel) Unmatched",
        "github.com/google/uuid v1.3.0 Embedded",
        "github.com/pkg/errors v0.9.1 Unmatched",
        "golang.org/x/text v0.3.7 Embedded",
    ];
    check(&file, &expected, "Go 1.26");
}

proptest! {
    #[test]
    fn no_bytes_panic(content: Vec<u8>) {
        analyze(&content);
        let marked = [MARK, &content].concat();
        for (_, file) in sample::every_format(&[Section::variables(".data", &marked)]) {
            analyze(&file);
        }
    }

    #[test]
    fn no_module_lines_panic(modules in "((path|mod|dep|=>|build)?[\t\na-z.+()-]{0,9}){0,9}\n") {
        let info = inline("go1.20.1", &guarded(&modules));
        let file = sample::elf(Class::Elf64, Order::Little, &[Section::variables(".go.buildinfo", &info)]);
        analyze(&file);
    }

    #[test]
    fn no_toolchain_version_panics(text in "go[0-9.]{0,6}(rc|beta|-X:|X:|[ ()é-]){0,4}") {
        standard_library(&text);
    }

    #[test]
    fn no_flip_of_real_information_panics(position in 0..BUILT.len(), value: u8) {
        let mut info = BUILT.to_vec();
        info[position] = value;
        analyze(&sample::elf(Class::Elf64, Order::Little, &[Section::variables(".go.buildinfo", &info)]));
    }

    #[test]
    fn no_flip_panics(position in 0_usize..512, value: u8) {
        let info = pointers("go1.20.1", &guarded(MODULES), 8, Order::Little, 0);
        for (_, mut file) in sample::every_format(&[Section::variables(".data", &info)]) {
            for position in [position, position + 0x400] {
                if let Some(byte) = file.get_mut(position) {
                    *byte = value;
                }
                analyze(&file);
            }
        }
    }
}
