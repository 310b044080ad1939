//! Erlang and Elixir applications: each `ebin/<name>.app` in, the application that it describes out.
//!
//! Format: app(4), `{application, Name, [{vsn, "1.0"}, …]}.`, an Erlang term. Applications of Erlang/OTP and of
//! Elixir itself are released with it; all others are packages of Hex, where most packages are called like their
//! application.

use shared::model::package::{Evidence, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};
use super::terms::{self, Term};

/// Reads `ebin/*.app`.
pub struct ErlangApp;

/// The applications of Erlang/OTP, and those of Elixir.
const RELEASED: &[&str] = &[
    "asn1",
    "common_test",
    "compiler",
    "cosEvent",
    "cosEventDomain",
    "cosFileTransfer",
    "cosNotification",
    "cosProperty",
    "cosTime",
    "cosTransactions",
    "crypto",
    "debugger",
    "dialyzer",
    "diameter",
    "edoc",
    "eex",
    "eldap",
    "elixir",
    "erl_docgen",
    "erl_interface",
    "erts",
    "et",
    "eunit",
    "ex_unit",
    "ftp",
    "hipe",
    "ic",
    "iex",
    "inets",
    "jinterface",
    "kernel",
    "logger",
    "megaco",
    "mix",
    "mnesia",
    "observer",
    "odbc",
    "orber",
    "os_mon",
    "parsetools",
    "public_key",
    "reltool",
    "runtime_tools",
    "sasl",
    "snmp",
    "ssh",
    "ssl",
    "stdlib",
    "syntax_tools",
    "tftp",
    "tools",
    "wx",
    "xmerl",
];

impl PackageList for ErlangApp {
    const NAME: &'static str = "erlang-app";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Extension(".app")];

    fn is_one(path: &str) -> bool {
        path.rsplit('/').nth(1) == Some("ebin")
    }

    fn read(_path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let parsed = terms::parse(text, &terms::ERLANG)?;
        let applications = terms::groups(&parsed).filter_map(|group| {
            let elements: Vec<&[Term<'_>]> = terms::elements(group).take(3).collect();
            match elements.as_slice() {
                [[Term::Word("application")], name, [properties]] => Some((*name, properties.group()?)),
                _ => None,
            }
        });
        let Some((name, properties)) = applications.into_iter().next() else {
            return Err(Unreadable::new(&"it describes no application"));
        };
        let name = terms::text(name).unwrap_or_default();
        let version = terms::elements(properties).find_map(version).unwrap_or_default();
        let kind = if RELEASED.contains(&name) { PackageKind::Otp } else { PackageKind::Hex };
        entries.add(lock::package(kind, name, version, Evidence::Installed));
        Ok(())
    }
}

/// The version, if a property is that: `{vsn, "1.0"}`.
fn version<'t>(property: &'t [Term<'_>]) -> Option<&'t str> {
    let [property] = property else { return None };
    let mut elements = terms::elements(property.group()?);
    match (elements.next()?, elements.next()?) {
        ([Term::Word("vsn")], [version]) => version.text(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const JIFFY: &str = include_str!("../../fixtures/jiffy.app");

    #[test]
    fn an_application_is_a_package_of_hex_or_a_part_of_the_platform() {
        check(
            &ErlangApp,
            "usr/lib/erlang/lib/jiffy-1.1.1/ebin/jiffy.app",
            JIFFY,
            &["hex/jiffy@1.1.1 Installed"],
        );
        let kernel = "%% c\n{application, kernel,\n [{description, \"ERTS\"},\n  {vsn, \"8.5.4\"}]}.\n";
        check(&ErlangApp, "lib/kernel-8.5.4/ebin/kernel.app", kernel, &["otp/kernel@8.5.4 Installed"]);
        check(&ErlangApp, "Applications/a.app", JIFFY, &[]);
        check(&ErlangApp, "ebin/a.app", "{application, a, []}.", &["record-skipped"]);
        check(&ErlangApp, "ebin/a.app", "a", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..JIFFY.len(), byte: u8) {
            analyze(&ErlangApp, "ebin/a.app", &content);
            let mut sample = JIFFY.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&ErlangApp, "ebin/a.app", &sample);
        }
    }
}
