//! The programs, one row each, named as their recognisers name them.

use super::Spelling::{Java, Plain, Tag};
use super::{BITNAMI, GIT, Place, Spelling};

const fn bitnami(name: &'static str) -> Place {
    Place { ecosystem: BITNAMI, name, spelling: Plain }
}

const fn git(name: &'static str, spelling: Spelling) -> Place {
    Place { ecosystem: GIT, name, spelling }
}

/// A tag with dots between the numbers.
const fn tag(before: &'static str) -> Spelling {
    Tag { before, between: ".", after: "" }
}

/// A tag with underscores between the numbers.
const fn underscored(before: &'static str) -> Spelling {
    Tag { before, between: "_", after: "" }
}

/// Every program. A repository that changed its tags stands in a row twice: one of the two is in no list.
pub(super) const PROGRAMS: &[(&str, &[Place])] = &[
    ("python", &[bitnami("python"), git("https://github.com/python/cpython", tag("v"))]),
    ("node", &[bitnami("node"), git("https://github.com/nodejs/node", tag("v"))]),
    (
        "ruby",
        &[
            bitnami("ruby"),
            git("https://github.com/ruby/ruby", underscored("v")),
            git("https://github.com/ruby/ruby", tag("v")),
        ],
    ),
    ("perl", &[git("https://github.com/Perl/perl5", tag("v"))]),
    ("php", &[bitnami("php"), git("https://github.com/php/php-src", tag("php-"))]),
    ("openjdk", &[Place { ecosystem: BITNAMI, name: "java", spelling: Java }]),
    ("erlang", &[git("https://github.com/erlang/otp", tag("OTP-"))]),
    ("rust", &[git("https://github.com/rust-lang/rust", Plain)]),
    ("swipl", &[git("https://github.com/SWI-Prolog/swipl-devel", tag("V"))]),
    ("dart", &[git("https://github.com/dart-lang/sdk", Plain)]),
    ("deno", &[git("https://github.com/denoland/deno", tag("v"))]),
    ("bun", &[git("https://github.com/oven-sh/bun", tag("bun-v"))]),
    ("julia", &[git("https://github.com/JuliaLang/julia", tag("v"))]),
    ("nginx", &[bitnami("nginx"), git("https://github.com/nginx/nginx", tag("release-"))]),
    ("openresty", &[bitnami("openresty"), git("https://github.com/openresty/openresty", tag("v"))]),
    ("httpd", &[bitnami("apache"), git("https://github.com/apache/httpd", Plain)]),
    ("lighttpd", &[git("https://github.com/lighttpd/lighttpd1.4", tag("lighttpd-"))]),
    ("haproxy", &[bitnami("haproxy"), git("https://github.com/haproxy/haproxy", tag("v"))]),
    ("envoy", &[bitnami("envoy"), git("https://github.com/envoyproxy/envoy", tag("v"))]),
    ("redis", &[bitnami("redis"), git("https://github.com/redis/redis", Plain)]),
    ("valkey", &[bitnami("valkey"), git("https://github.com/valkey-io/valkey", Plain)]),
    ("memcached", &[bitnami("memcached"), git("https://github.com/memcached/memcached", Plain)]),
    (
        "postgresql",
        &[bitnami("postgresql"), git("https://github.com/postgres/postgres", underscored("REL_"))],
    ),
    ("mariadb", &[bitnami("mariadb"), git("https://github.com/MariaDB/server", tag("mariadb-"))]),
    ("mysql", &[git("https://github.com/mysql/mysql-server", tag("mysql-"))]),
    (
        "openssl",
        &[
            git("https://github.com/openssl/openssl", tag("openssl-")),
            git("https://github.com/openssl/openssl", underscored("OpenSSL_")),
        ],
    ),
    ("aws-lc", &[git("https://github.com/aws/aws-lc", tag("v"))]),
    ("libressl", &[git("https://github.com/libressl/portable", tag("v"))]),
    ("gnutls", &[git("https://gitlab.com/gnutls/gnutls", Plain)]),
    ("arangodb", &[bitnami("arangodb"), git("https://github.com/arangodb/arangodb", tag("v"))]),
    ("keydb", &[bitnami("keydb"), git("https://github.com/Snapchat/KeyDB", tag("v"))]),
    ("jq", &[git("https://github.com/jqlang/jq", tag("jq-"))]),
    ("util-linux", &[git("https://github.com/util-linux/util-linux", tag("v"))]),
    ("zstd", &[git("https://github.com/facebook/zstd", tag("v"))]),
    ("xz", &[git("https://github.com/tukaani-project/xz", tag("v"))]),
    ("curl", &[git("https://github.com/curl/curl", Plain)]),
    ("krb5", &[git("https://github.com/krb5/krb5", Tag { before: "krb5-", between: ".", after: "-final" })]),
    ("openldap", &[bitnami("openldap")]),
    ("mongodb", &[bitnami("mongodb"), git("https://github.com/mongodb/mongo", tag("r"))]),
    ("consul", &[bitnami("consul"), git("https://github.com/hashicorp/consul", tag("v"))]),
    ("fluent-bit", &[bitnami("fluent-bit"), git("https://github.com/fluent/fluent-bit", tag("v"))]),
    ("ffmpeg", &[git("https://github.com/FFmpeg/FFmpeg", tag("n"))]),
    ("wordpress", &[bitnami("wordpress"), git("https://github.com/WordPress/WordPress", Plain)]),
];
