//! The programs that are recognised, one row each.

use super::FileName::{Library, Program as Named};
use super::Mark::{Before, Between, NextString, PatchOfFileName};
use super::{FileName, Mark, Program};

const fn row(name: &'static str, files: &'static [FileName], evidence: &'static [Mark]) -> Program {
    Program { name, files, evidence }
}

/// Every program. Several rows may look at one file: who forks a program keeps its file's name.
pub(super) const PROGRAMS: &[Program] = &[
    row("python", &[Named("python"), Library("libpython")], &[PatchOfFileName, Between(b"/Python-", b"\0")]),
    row("pypy", &[Named("pypy"), Library("libpypy")], &[Between(b"[PyPy ", b"")]),
    row("node", &[Named("node")], &[Between(b"node.js/v", b"")]),
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
    row("openjdk", &[Named("java")], &[NextString(b"\0openjdk\0java\0")]),
    row(
        "erlang",
        &[Named("erlexec"), Named("beam.smp")],
        &[Between(b"/otp_src_", b"/erts/"), Between(b"/otp-", b"/erts/")],
    ),
    row("rust", &[Library("libstd-")], &[Between(b"rustc version ", b" (")]),
    row("gcc", &[Named("gcc")], &[Between(b"GCC: (GNU) ", b"")]),
    row("swipl", &[Named("swipl")], &[Between(b"swipl-", b"/")]),
    row("dart", &[Named("dart")], &[Before(b" (stable")]),
    row("deno", &[Named("deno")], &[Between(b"Deno/", b"")]),
    row("bun", &[Named("bun")], &[Between(b"Bun v", b"")]),
    row("julia", &[Library("libjulia-internal")], &[Before(b"\0julia version")]),
    row("nginx", &[Named("nginx")], &[Between(b"nginx version: nginx/", b"")]),
    row("openresty", &[Named("nginx"), Named("openresty")], &[Between(b"nginx version: openresty/", b"")]),
    row("httpd", &[Named("httpd")], &[Between(b"Apache/", b"")]),
    row("lighttpd", &[Named("lighttpd")], &[Between(b"\0lighttpd/", b"")]),
    row("haproxy", &[Named("haproxy")], &[Between(b"HAProxy version ", b"")]),
    row("envoy", &[Named("envoy")], &[Before(b"/Clean/RELEASE/")]),
    row("redis", &[Named("redis-server")], &[Before(b"buildkitsandbox-")]),
    row("valkey", &[Named("valkey-server")], &[Before(b"buildkitsandbox-")]),
    row("memcached", &[Named("memcached")], &[Between(b"memcached ", b"")]),
    row("postgresql", &[Named("postgres")], &[Between(b"\0PostgreSQL ", b"")]),
    row("mysql", &[Named("mysql"), Named("mysqld")], &[Between(b"/mysql-", b"/")]),
    row("percona-server", &[Named("mysql"), Named("mysqld")], &[Between(b"/percona-server-", b"")]),
    row(
        "mariadb",
        &[Named("mariadb"), Named("mariadbd"), Named("mysql"), Named("mysqld")],
        &[Before(b"-MariaDB")],
    ),
    row(
        "openssl",
        &[Named("openssl"), Library("libcrypto"), Library("libssl")],
        &[Between(b"\0OpenSSL ", b" ")],
    ),
    row("busybox", &[Named("busybox")], &[Between(b"BusyBox v", b"")]),
    row("bash", &[Named("bash")], &[Between(b"@(#)Bash version ", b"(")]),
    row("xz", &[Named("xz")], &[Between(b"(XZ Utils) ", b"")]),
    row("curl", &[Named("curl"), Library("libcurl")], &[Between(b"curl/", b"")]),
    row("krb5", &[Library("libkrb5")], &[Between(b"KRB5_BRAND: krb5-", b"-")]),
    row("openldap", &[Named("ldapsearch")], &[Between(b"$OpenLDAP: ldapsearch ", b"")]),
    row("fluent-bit", &[Named("fluent-bit")], &[Before(b"\0Fluent Bit")]),
    row("ffmpeg", &[Named("ffmpeg"), Library("libav")], &[Between(b"FFmpeg version ", b"")]),
    row("qt", &[Library("libQt")], &[Between(b"Qt ", b" (")]),
];
