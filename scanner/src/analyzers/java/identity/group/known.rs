//! Well-known projects whose archives do not tell their group in a way that rules could find.
//!
//! Each row is what the project itself publishes on Maven Central. A name alone is no proof, so each has a witness: the
//! packages of the archive's classes, or the name of its bundle or module.

use super::Witnesses;
use Witness::{Bundle, Classes};

/// One group, or a part of it.
struct Known {
    group: &'static str,
    witness: Witness,
    versions: Versions,
    /// With a `*` at its end: every artifact that begins so.
    artifacts: &'static [&'static str],
}

/// What must be true of an archive besides its name.
enum Witness {
    /// A class is in this package or below it.
    Classes(&'static str),
    /// The name of the bundle or of the module begins so.
    Bundle(&'static str),
}

/// Which versions a project published in a group; it may have moved.
enum Versions {
    All,
    Since(Release),
    Until(Release),
}

/// Major and minor version.
type Release = (u32, u32);

const fn known(group: &'static str, witness: Witness, artifacts: &'static [&'static str]) -> Known {
    Known { group, witness, versions: Versions::All, artifacts }
}

const fn since(start: Release, known: Known) -> Known {
    Known { versions: Versions::Since(start), ..known }
}

const fn until(end: Release, known: Known) -> Known {
    Known { versions: Versions::Until(end), ..known }
}

/// The first row that fits decides.
const KNOWN: &[Known] = &[
    known("org.springframework.boot", Bundle("spring.boot.starter"), &["spring-boot-starter*"]),
    known("org.springframework.boot", Classes("org.springframework.boot"), &["spring-boot*"]),
    known(
        "org.springframework.amqp",
        Classes("org.springframework.amqp"),
        &["spring-amqp", "spring-rabbit*"],
    ),
    known("org.springframework.batch", Classes("org.springframework.batch"), &["spring-batch-*"]),
    known("org.springframework.graphql", Classes("org.springframework.graphql"), &["spring-graphql*"]),
    known("org.springframework.integration", Bundle("spring.integration"), &["spring-integration-*"]),
    known("org.springframework.kafka", Classes("org.springframework.kafka"), &["spring-kafka*"]),
    known("org.springframework.ldap", Bundle("spring.ldap"), &["spring-ldap-*"]),
    // Maven built what was published as org.springframework.security.oauth, and says so.
    known("org.springframework.security", Bundle("spring.security"), &["spring-security-*"]),
    known("org.springframework.session", Bundle("spring.session"), &["spring-session-*"]),
    known("org.springframework.webflow", Classes("org.springframework.webflow"), &["spring-webflow"]),
    known("org.springframework.ws", Classes("org.springframework.ws"), &["spring-ws-*"]),
    known("org.springframework", Bundle("spring.jcl"), &["spring-jcl"]),
    known(
        "org.springframework",
        Classes("org.springframework"),
        &[
            "spring-aop",
            "spring-aspects",
            "spring-beans",
            "spring-context",
            "spring-context-indexer",
            "spring-context-support",
            "spring-core",
            "spring-core-test",
            "spring-expression",
            "spring-instrument",
            "spring-jdbc",
            "spring-jms",
            "spring-messaging",
            "spring-orm",
            "spring-oxm",
            "spring-r2dbc",
            "spring-test",
            "spring-tx",
            "spring-web",
            "spring-webflux",
            "spring-webmvc",
            "spring-websocket",
        ],
    ),
    known("org.apache.tomcat.embed", Bundle("org.apache.tomcat-embed"), &["tomcat-embed-*"]),
    known("org.apache.tomcat", Bundle("org.apache.tomcat"), &["tomcat-*"]),
    known("org.apache.kafka", Classes("kafka"), &["kafka_2.*"]),
    known("org.apache.kafka", Classes("org.apache.kafka"), &["connect-*", "kafka-*"]),
    known("org.apache.lucene", Classes("org.apache.lucene"), &["lucene-*"]),
    known("org.apache.xmlbeans", Classes("org.apache.xmlbeans"), &["xmlbeans"]),
    known("org.apache.poi", Bundle("org.apache.poi"), &["poi-*"]),
    known("org.apache.poi", Classes("org.apache.poi"), &["poi", "poi-*"]),
    known("org.apache.cassandra", Classes("org.apache.cassandra"), &["cassandra-all"]),
    known("org.apache.derby", Classes("org.apache.derby"), &["derby*"]),
    since((1, 7), known("org.apache.ant", Classes("org.apache.tools"), &["ant"])),
    until((1, 7), known("ant", Classes("org.apache.tools"), &["ant"])),
    known("axis", Classes("org.apache.axis"), &["axis"]),
    known("xalan", Classes("org.apache.xalan"), &["xalan"]),
    known("xalan", Classes("org.apache.xml"), &["serializer"]),
    known("xerces", Classes("org.apache.xerces"), &["xercesImpl"]),
    known("xml-apis", Classes("org.w3c.dom"), &["xml-apis"]),
    since((4, 0), known("org.apache.groovy", Classes("groovy"), &["groovy*"])),
    until((4, 0), known("org.codehaus.groovy", Classes("groovy"), &["groovy*"])),
    since(
        (6, 0),
        known("org.hibernate.orm", Classes("org.hibernate"), &["hibernate-core", "hibernate-envers"]),
    ),
    until((6, 0), known("org.hibernate", Classes("org.hibernate"), &["hibernate-core", "hibernate-envers"])),
    known("org.jetbrains.kotlinx", Classes("kotlinx.coroutines"), &["kotlinx-coroutines-*"]),
    known("org.jetbrains.kotlinx", Classes("kotlinx.serialization"), &["kotlinx-serialization-*"]),
    known("org.jetbrains.kotlin", Classes("kotlin"), &["kotlin-reflect", "kotlin-stdlib*"]),
    known("io.ktor", Classes("io.ktor"), &["ktor-*"]),
    known("com.squareup.okhttp3", Classes("okhttp3"), &["okhttp", "okhttp-jvm"]),
    known("com.squareup.okio", Classes("okio"), &["okio*"]),
    known("com.squareup.retrofit2", Classes("retrofit2"), &["retrofit"]),
    known("com.squareup.moshi", Classes("com.squareup.moshi"), &["moshi*"]),
    known("io.grpc", Classes("io.grpc"), &["grpc-*"]),
    known("com.google.protobuf", Classes("com.google.protobuf"), &["protobuf-java*"]),
    known("io.opentelemetry", Classes("io.opentelemetry.api"), &["opentelemetry-api"]),
    known("io.opentelemetry", Classes("io.opentelemetry.sdk"), &["opentelemetry-sdk*"]),
    known("com.typesafe.akka", Classes("akka"), &["akka-actor_*", "akka-http*", "akka-stream_*"]),
    known(
        "org.bouncycastle",
        Classes("org.bouncycastle"),
        &["bc-fips", "bcmail-*", "bcpg-*", "bcpkix-*", "bcprov-*", "bctls-*", "bcutil-*"],
    ),
    since((4, 0), known("org.ow2.asm", Classes("org.objectweb.asm"), &["asm", "asm-*"])),
    until((4, 0), known("asm", Classes("org.objectweb.asm"), &["asm", "asm-*"])),
    since((2, 0), known("org.dom4j", Classes("org.dom4j"), &["dom4j"])),
    until((2, 0), known("dom4j", Classes("org.dom4j"), &["dom4j"])),
    until((3, 0), known("antlr", Classes("antlr"), &["antlr"])),
    known("org.jdom", Classes("org.jdom2"), &["jdom2"]),
    known("org.aspectj", Classes("org.aspectj"), &["aspectjrt", "aspectjtools", "aspectjweaver"]),
    known("org.checkerframework", Classes("org.checkerframework"), &["checker-qual"]),
    known("org.lz4", Bundle("lz4-java"), &["lz4-java"]),
    known("org.projectlombok", Classes("lombok"), &["lombok"]),
    known("mysql", Classes("com.mysql"), &["mysql-connector-java"]),
    known("com.mysql", Classes("com.mysql"), &["mysql-connector-j"]),
    known("com.h2database", Classes("org.h2"), &["h2"]),
    known("com.oracle.database.jdbc", Bundle("com.oracle.database.jdbc"), &["ojdbc*"]),
    known("org.mongodb", Classes("org.bson"), &["bson"]),
    known("org.mongodb", Classes("com.mongodb"), &["mongodb-driver-*"]),
    known("com.jayway.jsonpath", Classes("com.jayway.jsonpath"), &["json-path"]),
    known("com.auth0", Classes("com.auth0.jwt"), &["java-jwt"]),
    known("com.github.ben-manes.caffeine", Classes("com.github.benmanes"), &["caffeine"]),
    known("com.ibm.icu", Classes("com.ibm.icu"), &["icu4j"]),
    known("net.java.dev.jna", Classes("com.sun.jna"), &["jna", "jna-platform"]),
    known("org.liquibase", Classes("liquibase"), &["liquibase-core"]),
    known("org.thymeleaf", Classes("org.thymeleaf"), &["thymeleaf"]),
    known("com.unboundid", Classes("com.unboundid"), &["unboundid-ldapsdk"]),
    known("junit", Classes("org.junit"), &["junit"]),
    known("org.junit.jupiter", Classes("org.junit.jupiter"), &["junit-jupiter-*"]),
    known("org.junit.platform", Classes("org.junit.platform"), &["junit-platform-*"]),
    known("org.hamcrest", Classes("org.hamcrest"), &["hamcrest", "hamcrest-*"]),
];

/// The group of a well-known archive.
pub(super) fn group(witnesses: &Witnesses<'_>) -> Option<&'static str> {
    let release = release(witnesses.version);
    KNOWN.iter().find(|known| known.fits(witnesses, release)).map(|known| known.group)
}

impl Known {
    fn fits(&self, witnesses: &Witnesses<'_>, release: Release) -> bool {
        let is_artifact = |name: &&str| match name.strip_suffix('*') {
            Some(front) => witnesses.artifact.starts_with(front),
            None => witnesses.artifact == *name,
        };
        let is_then = match self.versions {
            Versions::All => true,
            Versions::Since(start) => release >= start,
            Versions::Until(end) => release < end,
        };
        is_then && self.artifacts.iter().any(is_artifact) && self.witness.testifies(witnesses)
    }
}

impl Witness {
    fn testifies(&self, witnesses: &Witnesses<'_>) -> bool {
        match self {
            Classes(package) => witnesses.classes.are_in(package),
            Bundle(front) => {
                let names = [&witnesses.manifest.symbolic_name, &witnesses.manifest.module_name];
                names.into_iter().flatten().any(|name| name.starts_with(front))
            }
        }
    }
}

/// Major and minor of a version; 0 where there is no number.
fn release(version: &str) -> Release {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzers::java::classes::ClassPackages;
    use crate::analyzers::java::manifest::Manifest;

    #[test]
    fn groups_follow_the_version_and_the_classes() {
        for (artifact, version, class, expected) in [
            ("groovy-json", "3.0.19", "groovy/json", Some("org.codehaus.groovy")),
            ("groovy-json", "4.0.15", "groovy/json", Some("org.apache.groovy")),
            ("ant", "1.6.5", "org/apache/tools/ant", Some("ant")),
            ("ant", "1.10.12", "org/apache/tools/ant", Some("org.apache.ant")),
            ("hibernate-core", "6.4.0.Final", "org/hibernate", Some("org.hibernate.orm")),
            ("spring-core", "5.3.31", "org/springframework/core", Some("org.springframework")),
            ("spring-core", "5.3.31", "com/example/core", None),
            ("spring-boot-demo", "1.0", "com/example", None),
            ("spring-boot-starter-x", "1.0", "com/example", None),
            ("kafka_2.13", "3.0.2", "kafka/server", Some("org.apache.kafka")),
            ("h2x", "1", "org/h2", None),
        ] {
            let mut classes = ClassPackages::default();
            classes.note(&format!("{class}/A.class"));
            let manifest = Manifest::default();
            let witnesses = Witnesses { artifact, version, manifest: &manifest, classes: &classes };
            assert_eq!(group(&witnesses), expected, "{artifact} {version}");
        }
    }

    #[test]
    fn a_release_is_two_numbers() {
        for (version, expected) in
            [("9.0.83", (9, 0)), ("31", (31, 0)), ("99999999999", (0, 0)), ("", (0, 0))]
        {
            assert_eq!(release(version), expected, "{version}");
        }
    }
}
