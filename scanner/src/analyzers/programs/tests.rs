use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const ELF: &[u8] = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0";

/// What is made of a file that begins like an executable, as `name@version`.
fn programs(path: &str, evidence: &[u8]) -> Vec<String> {
    let content = [ELF, evidence].concat();
    let head = &content[..content.len().min(64)];
    let candidate = Candidate { path: path.as_bytes(), size: content.len() as u64, mode: 0o755, head };
    if !Programs.wants(&candidate) {
        return Vec::new();
    }
    let file = CapturedFile { path, mode: 0o755, content: &content };
    let found = Programs.analyze(&file, &Limits::default());
    let package = |found: super::super::FoundPackage| found.package;
    found.packages.into_iter().map(package).map(|it| format!("{}@{}", it.name, it.version)).collect()
}

/// A file, what is in it, and what it is.
const ROWS: &[(&str, &[u8], &str)] = &[
    ("opt/bin/python3.11", b"\x003.11\x003.2.0\x003.11.2\0", "python@3.11.2"),
    ("opt/lib/libpython3.13.so.1.0", b"\x003.13.0rc1\0", "python@3.13.0rc1"),
    // The linker keeps one copy of strings that end alike, and this one ended the source directory's name.
    ("opt/lib/libpython3.10.so.1.0", b"/tmp/Python-3.10.13\0./Modules", "python@3.10.13"),
    ("opt/bin/pypy3.10", b"3.10.14 [PyPy 7.3.17 with GCC", "pypy@7.3.17"),
    ("usr/local/bin/node", b"node.js/v20.20.2\0", "node@20.20.2"),
    ("usr/local/bin/ruby", b"ruby 1.8)\0ruby 3.1.2p20 (2022-04-12 revision", "ruby@3.1.2"),
    ("usr/local/lib/libruby.so.3.4.1", b"ruby 3.4.1 (2024-12-25 revision", "ruby@3.4.1"),
    ("usr/local/bin/perl", b"/usr/local/lib/perl5/5.38.2/x86_64", "perl@5.38.2"),
    // As Debian builds it.
    ("opt/lib/libperl.so.5.36.0", b"-gnu/perl/5.36.0\0/share/perl/5.36\0-gnu/perl5/5.36", "perl@5.36.0"),
    ("usr/local/sbin/php-fpm", b"X-Powered-By: PHP/8.2.29\0", "php@8.2.29"),
    ("opt/jdk/bin/java", b"\0openjdk\0java\x000.0\x0017.0.15+6-Vendor\0", "openjdk@17.0.15+6"),
    ("opt/jdk/bin/java", b"\0openjdk\0java\x000.0\x0021+35\0", "openjdk@21+35"),
    ("usr/lib/erlang/bin/beam.smp", b"/build/otp_src_26.2.1/erts/emulator", "erlang@26.2.1"),
    ("usr/lib/erlang/bin/erlexec", b"/src/otp-25.3/erts/etc", "erlang@25.3"),
    ("opt/lib/libstd-0f3a.so", b"rustc version 1.91.0 (f8297e351", "rust@1.91.0"),
    ("usr/local/bin/gcc", b"GCC: (GNU) 13.2.0\0", "gcc@13.2.0"),
    ("usr/local/bin/swipl", b"/src/swipl-9.1.2/src", "swipl@9.1.2"),
    ("opt/bin/dart", b"\x003.5.4 (stable) (", "dart@3.5.4"),
    ("opt/bin/deno", b"Deno/1.46.3\0", "deno@1.46.3"),
    ("opt/bin/bun", b"Bun v1.1.30 (", "bun@1.1.30"),
    ("opt/lib/libjulia-internal.so.1", b"\x001.10.4\0julia version %s", "julia@1.10.4"),
    ("usr/sbin/nginx", b"nginx version: nginx/1.25.3\n", "nginx@1.25.3"),
    ("opt/nginx/sbin/nginx", b"nginx version: openresty/1.21.4.3\n", "openresty@1.21.4.3"),
    ("opt/bin/httpd", b"Apache/2.4.58 (Unix)", "httpd@2.4.58"),
    ("opt/bin/lighttpd", b"\0lighttpd/1.4.73\0", "lighttpd@1.4.73"),
    ("opt/bin/haproxy", b"HAProxy version 2.9.1-f72603c", "haproxy@2.9.1"),
    ("opt/bin/envoy", b"0f5b/1.29.0/Clean/RELEASE/BoringSSL", "envoy@1.29.0"),
    ("usr/local/bin/redis-server", b"\x007.2.4buildkitsandbox-1706000000", "redis@7.2.4"),
    ("usr/local/bin/valkey-server", b"\x008.0.1buildkitsandbox-1706000000", "valkey@8.0.1"),
    ("opt/bin/memcached", b"memcached 1.6.23\0", "memcached@1.6.23"),
    ("usr/local/bin/postgres", b" PostgreSQL 9.1.\0PostgreSQL 15.18 on", "postgresql@15.18"),
    ("opt/bin/mysqld", b"/src/mysql-8.0.36/sql", "mysql@8.0.36"),
    ("opt/bin/mysqld", b"/percona-server-8.0.35-27/", "percona-server@8.0.35"),
    ("opt/bin/mariadbd", b"\x0010.11.6-MariaDB\0", "mariadb@10.11.6"),
    ("opt/lib/libcrypto.so.1.1", b"\0OpenSSL 1.1.1w  11 Sep 2023", "openssl@1.1.1w"),
    ("opt/bin/openssl", b"\0OpenSSL 3.0.19 27 Jan 2026", "openssl@3.0.19"),
    ("bin/busybox", b"BusyBox v1.36.1 (2024", "busybox@1.36.1"),
    ("opt/bin/bash", b"@(#)Bash version 5.2.15(1) release GNU", "bash@5.2.15"),
    ("opt/bin/xz", b"xz (XZ Utils) 5.4.1\n", "xz@5.4.1"),
    ("opt/bin/curl", b"curl/curl.h\0curl/7.88.1\0", "curl@7.88.1"),
    ("opt/lib/libkrb5.so.3", b"KRB5_BRAND: krb5-1.20.1-final", "krb5@1.20.1"),
    ("opt/bin/ldapsearch", b"$OpenLDAP: ldapsearch 2.6.7 (", "openldap@2.6.7"),
    ("opt/bin/fluent-bit", b"\x002.2.2\0Fluent Bit", "fluent-bit@2.2.2"),
    ("opt/bin/ffmpeg", b"FFmpeg version 6.1.1\0", "ffmpeg@6.1.1"),
    ("opt/lib/libQt5Core.so.5.15.3", b"Qt 5.15.3 (x86_64", "qt@5.15.3"),
];

#[test]
fn every_row_recognises_its_program() {
    for (path, evidence, expected) in ROWS {
        assert_eq!(programs(path, evidence), [*expected], "{path}");
    }
    let tried: BTreeSet<&str> =
        ROWS.iter().filter_map(|row| row.2.split_once('@')).map(|(name, _)| name).collect();
    let rows: BTreeSet<&str> = table::PROGRAMS.iter().map(|program| program.name).collect();
    assert_eq!(tried, rows, "every row is tried");
}

#[test]
fn what_does_not_convince_is_nothing() {
    for (path, evidence) in [
        ("opt/bin/tool", &b"node.js/v20.20.2\0"[..]),
        ("opt/bin/nodeenv", b"node.js/v20.20.2\0"),
        ("opt/bin/node", b"node.js/v%d.%d\0"),
        ("opt/bin/node", b"node.js/v20"),
        ("opt/bin/python", b"\x003.11.2\0"),
        ("opt/bin/python3.11", b"\x003.12.1\0x3.11.2\0"),
        ("opt/bin/dart", b"v3.5.4 (stable)"),
        ("opt/bin/openssl", b"AnOpenSSL 3.0.19 27 Jan"),
        ("opt/lib/libcrypto.so.3", b"AWS-LC 1.2.3)"),
        ("opt/bin/java", b"\0openjdk\0java\0"),
        ("opt/bin/curl", b""),
    ] {
        assert_eq!(programs(path, evidence), [""; 0], "{path}: {evidence:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(
        row in prop::sample::select(ROWS),
        at in any::<prop::sample::Index>(),
        value: u8,
        tail in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut evidence = [row.1, &tail].concat();
        let at = at.index(evidence.len());
        evidence[at] = value;
        programs(row.0, &evidence);
        programs(row.0, &evidence[at..]);
        programs(row.0, &evidence[..at]);
    }
}
