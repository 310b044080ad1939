//! The programs that are recognised, one row each.

use super::FileName::{Library, Program as Named};
use super::mark::Mark;
use super::mark::Mark::{
    Alone, Before, BeforeBuild, BeforeString, Between, Dated, Near, NextString, OfMajor, PatchOfFileName,
};
use super::{FileName, Program};

const fn row(name: &'static str, files: &'static [FileName], evidence: &'static [Mark]) -> Program {
    Program { name, files, evidence, fork: b"" }
}

impl Program {
    /// The same row for files without the mark of a fork.
    const fn unless(self, fork: &'static [u8]) -> Self {
        Self { fork, ..self }
    }
}

/// Every program. Several rows may look at one file: who forks a program keeps its file's name.
pub(super) const PROGRAMS: &[Program] = &[
    row("python", &[Named("python"), Library("libpython")], &[PatchOfFileName, Between(b"/Python-", b"\0")]),
    row("pypy", &[Named("pypy"), Library("libpypy")], &[Between(b"[PyPy ", b"")]),
    // Up to version 6 it said less of itself.
    row(
        "node",
        &[Named("node")],
        &[Between(b"node.js/v", b""), Between(b"\0node v", b"\0"), OfMajor(b"\0v", &["0", "4", "5", "6"])],
    ),
    row("ruby", &[Named("ruby"), Library("libruby")], &[Between(b"ruby ", b"p"), Between(b"ruby ", b" (20")]),
    row(
        "perl",
        &[Named("perl"), Library("libperl")],
        &[Between(b"/lib/perl5/", b""), Between(b"/perl/", b"")],
    ),
    row(
        "php",
        &[Named("php"), Named("php-fpm"), Named("php-cgi"), Library("libphp")],
        &[Between(b"X-Powered-By: PHP/", b"")],
    ),
    // Compilers lay the strings out in either order.
    row("openjdk", &[Named("java")], &[NextString(b"\0openjdk\0java\0"), BeforeString(b"openjdk\0java\0")]),
    row("openjdk", &[Library("libjvm")], &[Between(b" JRE (", b"")]),
    row(
        "erlang",
        &[Named("erlexec"), Named("beam.smp")],
        &[Between(b"/otp_src_", b"/erts/"), Between(b"/otp-", b"/erts/")],
    ),
    row("rust", &[Library("libstd-")], &[Between(b"rustc version ", b" (")]),
    row("gcc", &[Named("gcc")], &[Between(b"GCC: (GNU) ", b"")]),
    row("swipl", &[Named("swipl")], &[Between(b"swipl-", b"/")]),
    row("dart", &[Named("dart")], &[Before(b" (stable")]),
    row("deno", &[Named("deno")], &[Between(b"Deno/", b"Deno/"), Between(b"Deno/", b"")]),
    row("bun", &[Named("bun")], &[Between(b"Bun v", b""), Between(b"\0bun-v", b"\0")]),
    row("ghc", &[Named("ghc")], &[Between(b"libHSghc-", b"-ghc"), Between(b"\0GHC ", b"\0")]),
    row("cabal", &[Named("cabal")], &[Between(b"/cabal-install-", b"")]),
    row("stack", &[Named("stack")], &[Between(b"Version ", b", Git"), Between(b"/stack-", b"")]),
    row(
        "julia",
        &[Library("libjulia-internal")],
        &[Before(b"\0julia version"), BeforeString(b"branch\0"), BeforeString(b"verify")],
    ),
    row("nginx", &[Named("nginx")], &[Between(b"nginx version: nginx/", b"")]),
    row("openresty", &[Named("nginx"), Named("openresty")], &[Between(b"nginx version: openresty/", b"")]),
    row("httpd", &[Named("httpd"), Named("apache2")], &[Between(b"Apache/", b"")]),
    row("lighttpd", &[Named("lighttpd")], &[Between(b"\0lighttpd/", b"")]),
    row(
        "haproxy",
        &[Named("haproxy")],
        &[
            Near(b" version ", b", released 20"),
            Near(b"HAProxy version ", b" 20"),
            Near(b"HA-Proxy version ", b" 20"),
        ],
    ),
    row("envoy", &[Named("envoy")], &[Before(b"/Clean/RELEASE/")]),
    // Valkey is installed under Redis' name as well.
    row(
        "redis",
        &[Named("redis-server")],
        &[Before(b"buildkitsandbox-"), BeforeBuild, Between(b"Redis version ", b"")],
    )
    .unless(b"valkey"),
    row("valkey", &[Named("valkey-server")], &[Before(b"buildkitsandbox-"), BeforeBuild]),
    row("keydb", &[Named("keydb-server")], &[Before(b"buildkitsandbox-"), BeforeBuild]),
    row("memcached", &[Named("memcached")], &[Between(b"memcached ", b"")]),
    row("postgresql", &[Named("postgres")], &[Between(b"\0PostgreSQL ", b"")]),
    row("mysql", &[Named("mysql"), Named("mysqld")], &[Between(b"/mysql-", b"/"), BeforeString(b"mysql")])
        .unless(b"MariaDB"),
    row("percona-server", &[Named("mysql"), Named("mysqld")], &[Between(b"/percona-server-", b"")]),
    row("percona-xtrabackup", &[Named("xtrabackup")], &[Between(b"/percona-xtrabackup-", b"")]),
    row(
        "mariadb",
        &[Named("mariadb"), Named("mariadbd"), Named("mysql"), Named("mysqld")],
        &[Before(b"-MariaDB"), Between(b"/mariadb-", b"/")],
    ),
    // Its list of build settings follows its version; which of them is the first changed twice.
    row(
        "mongodb",
        &[Named("mongod"), Named("mongos")],
        &[BeforeString(b"cppdefines\0"), BeforeString(b"heap_size"), BeforeString(b"tcmalloc\0")],
    ),
    row("arangodb", &[Named("arangod"), Named("arangosh")], &[Before(b"\0 [linux]")]),
    // Its forks call themselves OpenSSL too, without a date.
    row("openssl", &[Named("openssl"), Library("libcrypto"), Library("libssl")], &[Dated(b"\0OpenSSL ")]),
    row(
        "aws-lc",
        &[Named("openssl"), Library("libcrypto"), Library("libssl"), Library("_awscrt")],
        &[Between(b"\0AWS-LC ", b"\0"), Between(b"(compatible; AWS-LC ", b")")],
    ),
    row(
        "libressl",
        &[Named("openssl"), Library("libcrypto"), Library("libssl")],
        &[Between(b"\0LibreSSL ", b"\0")],
    ),
    row("gnutls", &[Library("libgnutls")], &[Between(b"Enabled GnuTLS ", b" logging")]),
    row("busybox", &[Named("busybox")], &[Between(b"BusyBox v", b"")]),
    row("bash", &[Named("bash")], &[Between(b"@(#)Bash version ", b"(")]),
    row(
        "util-linux",
        &[
            Named("agetty"),
            Named("dmesg"),
            Named("fdisk"),
            Named("lsblk"),
            Named("mount"),
            Named("nsenter"),
            Named("unshare"),
        ],
        &[Between(b"\0util-linux ", b"\0")],
    ),
    row("gzip", &[Named("gzip")], &[Alone(b"not in gzip format")]),
    row("zstd", &[Named("zstd")], &[Between(b"\0v", b"\0Zstandard"), Between(b"\0v", b"\0")]),
    row("jq", &[Named("jq")], &[Alone(b"jq: error")]),
    row("xz", &[Named("xz")], &[Between(b"(XZ Utils) ", b"")]),
    row("curl", &[Named("curl"), Library("libcurl")], &[Between(b"curl/", b"")]),
    row("krb5", &[Library("libkrb5")], &[Between(b"KRB5_BRAND: krb5-", b"-")]),
    row("openldap", &[Named("ldapsearch")], &[Between(b"$OpenLDAP: ldapsearch ", b"")]),
    row(
        "fluent-bit",
        &[Named("fluent-bit")],
        &[BeforeString(b"Fluent Bit"), BeforeString(b"%sFluent Bit"), BeforeString(b"\x1b[1m\0%sFluent Bit")],
    ),
    // Its main module is built without a version.
    row("consul", &[Named("consul")], &[Between(b"CONSUL_VERSION: ", b"")]),
    row(
        "ffmpeg",
        &[Named("ffmpeg"), Library("libav")],
        &[Between(b"FFmpeg version ", b""), Between(b"%s version ", b"")],
    ),
    row("chromium", &[Named("chrome"), Named("chromium")], &[Before(b"\0Default"), Before(b"\0chrome\0")]),
    row("qt", &[Library("libQt")], &[Between(b"Qt ", b" (")]),
];
