//! Copies of log4j-core that nothing names: the class by which texts in logs load code (CVE-2021-44228) gives them
//! away, but no advisory can be asked about them, because their version is unknown.

use shared::model::observation::ObservationKind;
use shared::model::report::Severity;

use crate::analyzers::FoundObservation;

/// The end of the class's path: it may lie below `BOOT-INF/classes`, or in a package to which somebody moved it.
pub(super) const JNDI_LOOKUP: &str = "org/apache/logging/log4j/core/lookup/JndiLookup.class";

/// What is told of such a copy. `inner` is the path of its archive inside the file.
pub(super) fn nameless(inner: Option<&str>) -> FoundObservation {
    FoundObservation {
        rule: "TW-FS-LOG4J".to_owned(),
        kind: ObservationKind::Misconfiguration,
        severity: Severity::Low,
        title: "An archive contains log4j-core and does not say in which version".to_owned(),
        remediation: "Make sure that it is 2.17.1 or later, and keep META-INF/maven when shading.".to_owned(),
        inner_path: inner.map(str::to_owned),
        line: None,
        masked: None,
        fingerprint: None,
        controls: Vec::new(),
    }
}
