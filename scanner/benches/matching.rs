//! How long an image of 300 packages takes to judge, and a database to open.
//!
//! With `TIDEWAITER_FIXTURES` set, against the database of all dumps in its `osv` folder; without, against the
//! repository's own small set. The budgets: 300 packages in 3 ms warm, opening in 50 ms.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, criterion_group, criterion_main};
use scanner::advisories::Database;
use scanner::advisories::compile::{BuildOptions, build};
use scanner::advisories::matching::{Judge, judge};
use shared::model::image::Platform;
use shared::model::layer::LayerIndex;
use shared::model::package::{Evidence, Package, PackageKind, Purl, PurlDistribution};
use shared::model::report::{Distribution, InstalledPackage, Inventory};

/// Source packages of an ordinary Ubuntu image with a few tools.
const UBUNTU: &str = "acl adduser apt attr audit base-files base-passwd bash binutils bzip2 ca-certificates coreutils \
    cron curl cyrus-sasl2 dash dbus debconf debianutils diffutils dpkg e2fsprogs expat file findutils fontconfig \
    freetype gcc-8 gdbm gettext git glib2.0 glibc gmp gnupg2 gnutls28 grep gzip hostname icu imagemagick init-system-helpers \
    iproute2 iptables jansson json-c kmod krb5 less lib icu libassuan libbsd libcap-ng libcap2 libedit libevent libffi \
    libgcrypt20 libgd2 libgpg-error libidn2 libjpeg-turbo libksba libpng1.6 libpsl libseccomp libsemanage libsepol \
    libssh libtasn1-6 libtirpc libunistring libwebp libx11 libxau libxcb libxml2 libxslt libzstd linux lsb lvm2 lz4 \
    make mawk mime-support mpfr4 nano ncurses nettle nghttp2 npth openldap openssh openssl p11-kit pam patch pcre3 \
    perl postgresql-10 procps python2.7 python3.6 readline rtmpdump sed sensible-utils shadow sqlite3 sudo systemd \
    sysvinit tar tiff tzdata ubuntu-keyring ucf unzip util-linux vim wget xz-utils zip zlib";
const NPM: &str = "accepts ajv ansi-regex array-flatten async axios body-parser bytes chalk commander cookie cross-spawn \
    debug decamelize depd ejs es5-ext escape-html etag express finalhandler follow-redirects forwarded fresh glob \
    glob-parent got handlebars hawk highlight.js hoek http-errors iconv-lite inherits ini ipaddr.js jquery js-yaml \
    json-schema json5 jsonwebtoken kind-of lodash lodash.template marked merge-descriptors methods mime minimatch \
    minimist mixin-deep moment ms negotiator node-fetch nth-check on-finished parseurl path-parse path-to-regexp \
    postcss pug qs range-parser request safe-buffer semver send serialize-javascript serve-static set-value shelljs \
    socket.io statuses tar tough-cookie trim type-is ua-parser-js underscore utils-merge uuid validator vary ws y18n yargs-parser";
const PYPI: &str = "aiohttp babel bleach certifi cffi chardet charset-normalizer click cryptography django \
    django-rest-framework flask gunicorn idna itsdangerous jinja2 lxml mako markdown markupsafe mistune nltk notebook numpy oauthlib \
    paramiko pillow pip protobuf psutil psycopg2 pyasn1 pycparser pygments pyjwt pyopenssl pytz pyyaml redis requests \
    anyio apache-airflow ansible asyncssh attrs authlib boto3 celery coverage decorator defusedxml dnspython docutils \
    dulwich ecdsa feedparser filelock future gevent gitpython httpx keyring lxml-html-clean matplotlib nbconvert pandas \
    rsa scikit-learn scipy setuptools six sqlalchemy sqlparse tensorflow tornado twisted urllib3 waitress werkzeug wheel";

fn database(folder: &Path) -> PathBuf {
    let dumps = match std::env::var_os("TIDEWAITER_FIXTURES") {
        Some(fixtures) => PathBuf::from(fixtures).join("osv"),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../advisories"),
    };
    let output = folder.join("advisories.db");
    let summary = build(&[dumps], &output, &BuildOptions::default()).expect("the dumps compile");
    println!("{} advisories in {} bytes", summary.advisories, summary.file_bytes);
    output
}

fn package(kind: PackageKind, name: &str, version: &str) -> InstalledPackage {
    let package = Package {
        kind,
        namespace: None,
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: None,
        source: None,
        vendor: None,
        module: None,
        qualifiers: std::collections::BTreeMap::new(),
        licenses: Vec::new(),
        evidence: Evidence::Installed,
    };
    let ubuntu = PurlDistribution { namespace: "ubuntu", id: "ubuntu", version: "18.04" };
    InstalledPackage {
        purl: Purl::new(&package, Some(ubuntu)),
        path: "evidence".to_owned(),
        introduced_in: LayerIndex(0),
        owned_by: None,
        nested_root: None,
        package,
    }
}

/// 300 packages; `os_version` and `version` decide how many findings there are.
fn inventory(os_version: &str, version: &str) -> Inventory {
    let all = |kind, names: &'static str, version: &str| {
        let version = version.to_owned();
        names.split_whitespace().map(move |name| package(kind, name, &version))
    };
    let mut packages: Vec<_> = all(PackageKind::Deb, UBUNTU, os_version)
        .chain(all(PackageKind::Npm, NPM, version))
        .chain(all(PackageKind::PyPi, PYPI, version))
        .collect();
    packages.truncate(300);
    Inventory {
        platform: Some(Platform::linux_amd64()),
        distribution: Some(Distribution {
            id: "ubuntu".to_owned(),
            version: "18.04".to_owned(),
            codename: None,
            like: Vec::new(),
            name: "Ubuntu 18.04.6 LTS".to_owned(),
        }),
        layers: Vec::new(),
        packages,
        ..Inventory::default()
    }
}

fn matching(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = database(folder.path());
    criterion.bench_function("open the database", |bencher| {
        bencher.iter(|| Database::open(black_box(&path)).expect("it opens"));
    });
    let database = Database::open(&path).expect("it opens");
    for (name, inventory) in [
        ("judge 300 recent packages", inventory("999:9", "999.9.9")),
        ("judge 300 old packages", inventory("1:3.5", "2.5.0")),
    ] {
        let judgement = judge(&inventory, &database).expect("the database answers");
        println!("{name}: {} packages, {} findings", inventory.packages.len(), judgement.findings.len());
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| judge(black_box(&inventory), &database).expect("the database answers"));
        });
        let mut experienced = Judge::new(&database).expect("the database answers");
        criterion.bench_function(&format!("{name} once more"), |bencher| {
            bencher.iter(|| experienced.judge(black_box(&inventory)).expect("the database answers"));
        });
    }
}

criterion_group!(benches, matching);
criterion_main!(benches);
