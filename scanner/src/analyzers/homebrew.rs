//! Homebrew: every `Cellar/<formula>/<version>/INSTALL_RECEIPT.json` in, the formula that lies beside it out.
//!
//! Formula and version are what the directories are called, as for Homebrew itself; the receipt proves that the
//! installation was finished. Format: Homebrew, "Tab".

use serde_json::{Map, Value};
use shared::model::package::{Evidence, Package, PackageKind};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger, lock};
use crate::limits::Limits;

/// Reads the receipts of installed formulas.
#[derive(Debug)]
pub struct Homebrew;

impl Analyzer for Homebrew {
    fn name(&self) -> &'static str {
        "homebrew"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Name("INSTALL_RECEIPT.json")]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        std::str::from_utf8(file.path).is_ok_and(|path| formula(path).is_some())
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
        let Some((name, version)) = formula(file.path) else {
            return Found::default();
        };
        let mut found = match serde_json::from_str::<Map<String, Value>>(&lock::text(file.content)) {
            Ok(_) => Found::default(),
            Err(error) => lock::unreadable(file, &error),
        };
        found.push(Package::new(PackageKind::Homebrew, name, version, Evidence::Installed));
        found
    }
}

/// Formula and version out of the path of a receipt.
fn formula(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.rsplit('/').skip(1);
    let (version, name, cellar) = (parts.next()?, parts.next()?, parts.next()?);
    (cellar == "Cellar").then_some((name, version))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const PATH: &str = "home/linuxbrew/.linuxbrew/Cellar/openssl@3/3.3.0_1/INSTALL_RECEIPT.json";

    #[test]
    fn a_receipt_is_an_installed_formula() {
        let receipt =
            r#"{"homebrew_version":"4.3.0","built_as_bottle":true,"source":{"versions":{"stable":"3.3.0"}}}"#;
        check(&Homebrew, PATH, receipt, &["brew/openssl%403@3.3.0_1 Installed"]);
        check(&Homebrew, PATH, "", &["brew/openssl%403@3.3.0_1 Installed", "analyzer-failed"]);
        for nowhere in ["INSTALL_RECEIPT.json", "Cellar/a/INSTALL_RECEIPT.json", "x/a/1/INSTALL_RECEIPT.json"]
        {
            check(&Homebrew, nowhere, receipt, &[]);
        }
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>) {
            analyze(&Homebrew, PATH, &content);
        }
    }
}
