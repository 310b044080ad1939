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
    ("usr/local/bin/node", b"\0node v0.12.18\0", "node@0.12.18"),
    ("usr/local/bin/node", b"\0v8.1.0\0\0v4.9.1\0", "node@4.9.1"),
    ("usr/local/bin/ruby", b"ruby 1.8)\0ruby 3.1.2p20 (2022-04-12 revision", "ruby@3.1.2"),
    ("usr/local/lib/libruby.so.3.4.1", b"ruby 3.4.1 (2024-12-25 revision", "ruby@3.4.1"),
    ("usr/local/bin/perl", b"/usr/local/lib/perl5/5.38.2/x86_64", "perl@5.38.2"),
    // As Debian builds it.
    ("opt/lib/libperl.so.5.36.0", b"-gnu/perl/5.36.0\0/share/perl/5.36\0-gnu/perl5/5.36", "perl@5.36.0"),
    ("usr/local/sbin/php-fpm", b"X-Powered-By: PHP/8.2.29\0", "php@8.2.29"),
    ("opt/jdk/bin/java", b"\0openjdk\0java\x000.0\x0017.0.15+6-Vendor\0", "openjdk@17.0.15+6"),
    ("opt/jdk/bin/java", b"\0openjdk\0java\x000.0\x0021+35\0", "openjdk@21+35"),
    // As compilers for arm64 do.
    ("opt/jdk/bin/java", b"\x000.0\x0017.0.8+7\0\0openjdk\0java\0", "openjdk@17.0.8+7"),
    ("opt/jdk/bin/java", b"\0openjdk\0java\x001.8\x001.8.0_392-b08\0", "openjdk@1.8.0_392"),
    (
        "opt/jdk/lib/server/libjvm.so",
        b"OpenJDK 64-Bit Server VM (17.0.15+6-LTS) for linux-amd64 JRE (17.0.15+6-LTS), built on",
        "openjdk@17.0.15+6",
    ),
    (
        "opt/jdk/jre/lib/amd64/server/libjvm.so",
        b"OpenJDK 64-Bit Server VM (25.392-b08) for linux-amd64 JRE (1.8.0_392-b08), built on",
        "openjdk@1.8.0_392",
    ),
    ("usr/lib/erlang/bin/beam.smp", b"/build/otp_src_26.2.1/erts/emulator", "erlang@26.2.1"),
    ("usr/lib/erlang/bin/erlexec", b"/src/otp-25.3/erts/etc", "erlang@25.3"),
    ("opt/lib/libstd-0f3a.so", b"rustc version 1.91.0 (f8297e351", "rust@1.91.0"),
    ("usr/local/bin/gcc", b"GCC: (GNU) 13.2.0\0", "gcc@13.2.0"),
    ("usr/local/bin/swipl", b"/src/swipl-9.1.2/src", "swipl@9.1.2"),
    ("opt/bin/dart", b"\x003.5.4 (stable) (", "dart@3.5.4"),
    ("opt/bin/deno", b"Deno/1.46.3\0", "deno@1.46.3"),
    // From deno's package on npm.
    (
        "opt/bin/deno",
        b"LP-Exporter-Deno/0.80.0grpc-timeout\0.9.6+e518fbdDeno/2.9.6Deno/2.9.6+e518",
        "deno@2.9.6",
    ),
    ("opt/bin/bun", b"Bun v1.1.30 (", "bun@1.1.30"),
    ("opt/bin/bun", b"\0bun-v1.4.5\0\0a77334", "bun@1.4.5"),
    // From Debian's ghc, cabal-install and haskell-stack.
    ("opt/bin/ghc", b"8.2-ghc9.0.2.so\0libHSghc-9.0.2-ghc9.0.2.so\0", "ghc@9.0.2"),
    ("opt/bin/cabal", b"Cabal-3.4.1.0\0_64-linux-ghc-9.0.2/cabal-install-3.4.1.0\0", "cabal@3.4.1.0"),
    ("opt/bin/stack", b"Version 2.13.1, Git revision 8102", "stack@2.13.1"),
    ("opt/bin/stack", b"Version of GHC\0x-ghc-9.0.2/stack-2.7.5\0stack_libex", "stack@2.7.5"),
    ("opt/lib/libjulia-internal.so.1", b"\x001.10.4\0julia version %s", "julia@1.10.4"),
    ("opt/lib/libjulia-internal.so.1", b"commit\x001.9.3\0branch\0\0HEAD", "julia@1.9.3"),
    ("opt/lib/libjulia-internal.so.1", b"__init__\x001.8.5\0verify: ", "julia@1.8.5"),
    ("usr/sbin/nginx", b"nginx version: nginx/1.25.3\n", "nginx@1.25.3"),
    ("opt/nginx/sbin/nginx", b"nginx version: openresty/1.21.4.3\n", "openresty@1.21.4.3"),
    ("opt/bin/httpd", b"Apache/2.4.58 (Unix)", "httpd@2.4.58"),
    ("opt/bin/lighttpd", b"\0lighttpd/1.4.73\0", "lighttpd@1.4.73"),
    (
        "opt/bin/haproxy",
        b"HAProxy version 2.5 and later\0HAProxy version 2.9.1-f72603c 2023/12/15",
        "haproxy@2.9.1",
    ),
    ("opt/bin/haproxy", b"HA-Proxy version 2.0.14 2020/04/02\n", "haproxy@2.0.14"),
    // From Debian's haproxy.
    ("opt/bin/haproxy", b"\0 version 2.6.12-1+deb12u4, released 2026/10/17\0", "haproxy@2.6.12"),
    ("opt/bin/envoy", b"0f5b/1.29.0/Clean/RELEASE/BoringSSL", "envoy@1.29.0"),
    ("usr/local/bin/redis-server", b"\x007.2.4buildkitsandbox-1706000000", "redis@7.2.4"),
    ("usr/local/bin/redis-server", b"\0redis.io\x007.2.40a1b2c3d4e5f-1706000000000000000\0", "redis@7.2.4"),
    ("usr/local/bin/redis-server", b"\0redis.io\x006.0.9buildhost001-1706000000\0", "redis@6.0.9"),
    ("usr/local/bin/redis-server", b"Server started, Redis version 2.8.23\0", "redis@2.8.23"),
    ("usr/local/bin/keydb-server", b"\x006.3.4buildkitsandbox-1706000000", "keydb@6.3.4"),
    ("usr/local/bin/valkey-server", b"\x008.0.1buildkitsandbox-1706000000", "valkey@8.0.1"),
    ("opt/bin/memcached", b"memcached 1.6.23\0", "memcached@1.6.23"),
    ("usr/local/bin/postgres", b" PostgreSQL 9.1.\0PostgreSQL 15.18 on", "postgresql@15.18"),
    ("opt/bin/mysqld", b"/src/mysql-8.0.36/sql", "mysql@8.0.36"),
    ("opt/bin/mysql", b"\x008.0.36\0\0\0mysql_native_password\0", "mysql@8.0.36"),
    ("opt/bin/mysql", b"shutdown\x008.0.37\0\0\0\0\0mysql_real_escape_string\0", "mysql@8.0.37"),
    ("opt/bin/mongod", b"tcmalloc\0\x006.0.27\0tcmalloc\0", "mongodb@6.0.27"),
    ("opt/bin/mongod", b"\x007.0.28\0\0heap_size", "mongodb@7.0.28"),
    ("opt/bin/mongos", b"\x008.0.17\0cppdefines\0", "mongodb@8.0.17"),
    ("opt/bin/xtrabackup", b"/percona-xtrabackup-8.0.35-30/", "percona-xtrabackup@8.0.35"),
    ("opt/bin/mysqld", b"/percona-server-8.0.35-27/", "percona-server@8.0.35"),
    ("opt/bin/mariadbd", b"\x0010.11.6-MariaDB\0", "mariadb@10.11.6"),
    // From Debian's mariadb-client-core, which has a version right before MySQL's plugin as well.
    (
        "opt/bin/mysql",
        b"\x0010.11.19-MariaDB\0x86_64\0MARIADB_UNIX_PORT\x0010.11.19\0mysql_native_password\0",
        "mariadb@10.11.19",
    ),
    ("opt/bin/arangosh", b"\x003.11.8\0 [linux]", "arangodb@3.11.8"),
    ("opt/lib/libcrypto.so.1.1", b"\0OpenSSL 1.1.1w  11 Sep 2023", "openssl@1.1.1w"),
    ("opt/bin/openssl", b"\0OpenSSL 3.0.19 27 Jan 2026", "openssl@3.0.19"),
    ("opt/lib/libcrypto.so", b"\0OpenSSL 1.1.1 (compatible; AWS-LC 1.2.3)", "aws-lc@1.2.3"),
    // From the package awscrt on PyPI.
    ("opt/lib/_awscrt.abi3.so", b"not available\0AWS-LC 5.12.0\0built on: n/", "aws-lc@5.12.0"),
    ("opt/lib/libcrypto.so.52", b"\0LibreSSL 3.8.2\0", "libressl@3.8.2"),
    // From Debian's libgnutls30, util-linux, gzip, zstd, jq and chromium.
    (
        "opt/lib/libgnutls.so.30",
        b"locale\x000.3.4\x003.7.9\0GNUTLS\0Enabled GnuTLS 3.7.9 logging...\0",
        "gnutls@3.7.9",
    ),
    ("opt/bin/dmesg", b"\0util-linux 2.38.1\0", "util-linux@2.38.1"),
    ("opt/bin/gzip", b"%s: not in gzip format\0\x001.12\0\0", "gzip@1.12"),
    ("opt/bin/zstd", b"Enabled\0v1.5.4\0Zstandard CLI\0Yann", "zstd@1.5.4"),
    ("opt/bin/jq", b"\x001.6\0DEBUG:\0\0jq: error (at %s): %s", "jq@1.6"),
    (
        "opt/bin/chromium",
        b"a108\x00156.0.8078.108\0.08\x008.8.8.8\0-timer\x00156.0.8078.108\0chrome\0",
        "chromium@156.0.8078.108",
    ),
    ("bin/busybox", b"BusyBox v1.36.1 (2024", "busybox@1.36.1"),
    ("opt/bin/bash", b"@(#)Bash version 5.2.15(1) release GNU", "bash@5.2.15"),
    ("opt/bin/xz", b"xz (XZ Utils) 5.4.1\n", "xz@5.4.1"),
    ("opt/bin/curl", b"curl/curl.h\0curl/7.88.1\0", "curl@7.88.1"),
    ("opt/lib/libkrb5.so.3", b"KRB5_BRAND: krb5-1.20.1-final", "krb5@1.20.1"),
    ("opt/bin/ldapsearch", b"$OpenLDAP: ldapsearch 2.6.7 (", "openldap@2.6.7"),
    ("opt/bin/fluent-bit", b"\x002.2.2\0Fluent Bit", "fluent-bit@2.2.2"),
    ("opt/bin/fluent-bit", b"\x001.3.10\0\0Fluent Bit v%s", "fluent-bit@1.3.10"),
    ("opt/bin/fluent-bit", b"\x003.0.2\0%sFluent Bit", "fluent-bit@3.0.2"),
    ("opt/bin/fluent-bit", b"\x001.7.0\0\x1b[1m\0%sFluent Bit", "fluent-bit@1.7.0"),
    ("opt/bin/consul", b"hint: CONSUL_VERSION: 1.15.4\n", "consul@1.15.4"),
    ("opt/bin/ffmpeg", b"FFmpeg version 6.1.1\0", "ffmpeg@6.1.1"),
    // From Debian's ffmpeg.
    ("opt/bin/ffmpeg", b"\0%s version 5.1.9-0+deb12u1\0%sbuilt with", "ffmpeg@5.1.9"),
    ("opt/bin/apache2", b"mailto:\0Apache/2.4.71\0 Server at", "httpd@2.4.71"),
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
        ("opt/bin/node", b"\0v8.1.0\0"),
        ("opt/bin/mongod", b"\x007.0.28\0something\0heap_size"),
        ("opt/lib/libjvm.so", b" JRE (%s), built on"),
        ("opt/bin/python", b"\x003.11.2\0"),
        ("opt/bin/python3.11", b"\x003.12.1\0x3.11.2\0"),
        ("opt/bin/dart", b"v3.5.4 (stable)"),
        ("opt/bin/openssl", b"AnOpenSSL 3.0.19 27 Jan"),
        ("opt/lib/libcrypto.so.3", b"AWS-LC 1.2.3)"),
        ("opt/lib/libcrypto.so.3", b"\0OpenSSL 1.1.1 (compatible; BoringSSL)"),
        ("opt/bin/gzip", b"\x001.12\0"),
        ("opt/bin/haproxy", b" version 2.6.12 of something"),
        ("usr/local/bin/redis-server", b"\x007.2.4-1706000000\0"),
        ("usr/local/bin/redis-server", b"valkey\x008.0.1buildkitsandbox-1706000000"),
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
