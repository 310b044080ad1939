//! What a policy thinks of pods. Only data: the Kubernetes gate reads pods and asks here how bad it is.

use serde::{Deserialize, Serialize};

/// How much a rule matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Not at all.
    #[default]
    Off,
    /// People are told.
    Warn,
    /// The request is refused.
    Deny,
}

macro_rules! pod_rules {
    ($($(#[doc = $doc:literal])* $variant:ident = $field:ident;)*) => {
        /// One thing that a pod should not do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum PodRule {
            $($(#[doc = $doc])* $variant,)*
        }

        impl PodRule {
            /// Every rule, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name, as policy files and reasons write it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($field)),* }
            }
        }

        /// How much each rule about pods matters; a rule that is not named is off.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct PodRules {
            $($(#[doc = $doc])* pub $field: Level,)*
        }

        impl PodRules {
            /// How much one rule matters.
            pub const fn level(&self, rule: PodRule) -> Level {
                match rule { $(PodRule::$variant => self.$field),* }
            }
        }
    };
}

pod_rules! {
    /// A privileged container.
    Privileged = privileged;
    /// The node's network, process or IPC namespace.
    HostNamespaces = host_namespaces;
    /// A `hostPath` volume.
    HostPaths = host_paths;
    /// The socket of a container runtime.
    RuntimeSockets = runtime_sockets;
    /// Capabilities beyond the runtime's own set.
    AddedCapabilities = added_capabilities;
    /// A container that may run as root.
    RootUser = root_user;
    /// A container without limits for memory and processor.
    MissingLimits = missing_limits;
    /// A secret handed over in an environment variable.
    SecretsInEnvironment = secrets_in_environment;
    /// An image named by tag, which may be another one tomorrow (I12).
    TagInsteadOfDigest = tag_instead_of_digest;
}
