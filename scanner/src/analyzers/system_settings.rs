//! Settings of the system that decide who may do what: accounts, sudo, the SSH server, apt's sources.
//!
//! One file in; accounts and observations out, which hold as long as the file is visible. Formats: passwd(5), group(5), sudoers(5),
//! sshd_config(5), sources.list(5), apt.conf(5). Lines that are none of what is looked for say nothing. Passwords in
//! `etc/shadow` are found with the secrets.

use std::collections::HashMap;

use shared::model::observation::ObservationKind;
use shared::model::report::Severity;

use super::{Account, Analyzer, CapturedFile, FileClass, Found, FoundObservation, MOST_ACCOUNTS, Trigger};
use crate::limits::Limits;

/// Reads settings of the system.
#[derive(Debug)]
pub struct SystemSettings;

impl Analyzer for SystemSettings {
    fn name(&self) -> &'static str {
        "system-settings"
    }

    fn version(&self) -> u32 {
        2
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[
            Trigger::Path("etc/passwd"),
            Trigger::Path("etc/group"),
            Trigger::Path("etc/sudoers"),
            Trigger::Parent("etc/sudoers.d"),
            Trigger::Path("etc/ssh/sshd_config"),
            Trigger::Parent("etc/ssh/sshd_config.d"),
            Trigger::Path("etc/apt/sources.list"),
            Trigger::Parent("etc/apt/sources.list.d"),
            Trigger::Path("etc/apt/apt.conf"),
            Trigger::Parent("etc/apt/apt.conf.d"),
        ]
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
        let mut reader = Reader::default();
        let content = file.content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file.content);
        let read: fn(&mut Reader, u32, &str) = match file.path {
            path if path.ends_with("etc/passwd") => Reader::account,
            path if path.ends_with("etc/group") => Reader::group,
            path if path.contains("sudoers") => Reader::sudo_rule,
            path if path.contains("sshd_config") => Reader::ssh_setting,
            path if path.contains("apt.conf") => Reader::apt_setting,
            _ => Reader::apt_source,
        };
        for (number, line) in (1..).zip(content.split(|byte| *byte == b'\n')) {
            let line = String::from_utf8_lossy(&line[..line.len().min(LONGEST_LINE)]);
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                read(&mut reader, number, line);
            }
        }
        reader.found
    }
}

/// What stands behind so many bytes of a line is not looked at.
const LONGEST_LINE: usize = 4096;
/// More of them in one file say nothing new.
const MOST_OBSERVATIONS: usize = 20;

#[derive(Default)]
struct Reader {
    found: Found,
    /// Names by number.
    names: HashMap<u32, String>,
}

/// What an observation always says about one kind of setting.
struct Kind {
    id: &'static str,
    control: &'static str,
    remediation: &'static str,
}

const ACCOUNTS: Kind = Kind {
    id: "TW-FS-EMPTY-PASSWORD",
    control: "CIS-DI-4.1",
    remediation: "Lock the account (passwd -l), or remove it; give every account a number of its own.",
};
const SUDO: Kind = Kind {
    id: "TW-FS-SUDO",
    control: "CIS-DI-4.3",
    remediation: "Leave sudo out: run as the right user from the start.",
};
const SSH: Kind = Kind {
    id: "TW-FS-SSHD",
    control: "CIS-DI-4.3",
    remediation: "Leave the SSH server out, or let in keys only and nobody as root.",
};
const APT: Kind = Kind {
    id: "TW-FS-APT-INSECURE",
    control: "CIS-DI-4.11",
    remediation: "Let apt check signatures: name the repository's key with signed-by, and take the switch away.",
};

impl Reader {
    fn observe(&mut self, kind: &Kind, severity: Severity, line: u32, title: String) {
        if self.found.observations.len() >= MOST_OBSERVATIONS {
            return;
        }
        self.found.observations.push(FoundObservation {
            rule: kind.id.to_owned(),
            kind: ObservationKind::Misconfiguration,
            severity,
            title,
            remediation: kind.remediation.to_owned(),
            inner_path: None,
            line: Some(line),
            masked: None,
            fingerprint: None,
            controls: vec![kind.control.to_owned()],
        });
    }

    /// `name:password:uid:…`
    fn account(&mut self, line: u32, text: &str) {
        let mut fields = text.splitn(4, ':');
        let (Some(name), Some(password), Some(Ok(uid))) =
            (fields.next(), fields.next(), fields.next().map(str::parse::<u32>))
        else {
            return;
        };
        if self.found.accounts.len() >= MOST_ACCOUNTS || name.is_empty() {
            return;
        }
        let name: String = name.chars().filter(|one| !one.is_control()).take(64).collect();
        if password.is_empty() {
            let title = format!("{name} logs in without a password");
            self.observe(&ACCOUNTS, Severity::High, line, title);
        }
        match self.names.get(&uid) {
            Some(other) if uid == 0 && *other != name => {
                let title = format!("{name} is root under another name");
                self.observe(&ACCOUNTS, Severity::Medium, line, title);
            }
            Some(other) if *other != name => {
                let title = format!("{name} and {other} share the number {uid}");
                self.observe(&ACCOUNTS, Severity::Low, line, title);
            }
            Some(_) => {}
            None => {
                self.names.insert(uid, name.clone());
            }
        }
        self.found.accounts.push(Account { name, uid });
    }

    /// `name:password:gid:…`
    fn group(&mut self, line: u32, text: &str) {
        let mut fields = text.splitn(4, ':');
        let (Some(name), Some(_), Some(Ok(gid))) =
            (fields.next(), fields.next(), fields.next().map(str::parse::<u32>))
        else {
            return;
        };
        let name: String = name.chars().filter(|one| !one.is_control()).take(64).collect();
        match self.names.get(&gid) {
            Some(other) if *other != name => {
                let title = format!("the groups {name} and {other} share the number {gid}");
                self.observe(&ACCOUNTS, Severity::Low, line, title);
            }
            Some(_) => {}
            None if self.names.len() < MOST_ACCOUNTS && !name.is_empty() => {
                self.names.insert(gid, name);
            }
            None => {}
        }
    }

    fn sudo_rule(&mut self, line: u32, text: &str) {
        if text.contains("NOPASSWD:") {
            let who = text.split_whitespace().next().unwrap_or_default();
            let who: String = who.chars().take(64).collect();
            self.observe(&SUDO, Severity::Medium, line, format!("{who} becomes root without a password"));
        }
    }

    /// `Keyword value` or `Keyword=value`; keywords in any case.
    fn ssh_setting(&mut self, line: u32, text: &str) {
        let mut words =
            text.split(|one: char| one.is_whitespace() || one == '=').filter(|word| !word.is_empty());
        let (Some(key), Some(value)) = (words.next(), words.next()) else { return };
        let is_on = value.trim_matches('"').eq_ignore_ascii_case("yes");
        for (keyword, severity, title) in [
            ("PermitRootLogin", Severity::Medium, "The SSH server lets root log in with a password"),
            ("PermitEmptyPasswords", Severity::High, "The SSH server accepts empty passwords"),
            ("PasswordAuthentication", Severity::Low, "The SSH server accepts passwords"),
        ] {
            if is_on && key.eq_ignore_ascii_case(keyword) {
                self.observe(&SSH, severity, line, title.to_owned());
            }
        }
    }

    fn apt_setting(&mut self, line: u32, text: &str) {
        let lower = text.to_ascii_lowercase();
        let is_on = ["true", "\"1\"", "yes"].iter().any(|on| lower.contains(on));
        if is_on && (lower.contains("allowunauthenticated") || lower.contains("allowinsecurerepositories")) {
            self.observe(&APT, Severity::Medium, line, "apt is told to install unsigned packages".to_owned());
        }
    }

    /// `deb [trusted=yes] …`, or `Trusted: yes` of a `.sources` file.
    fn apt_source(&mut self, line: u32, text: &str) {
        let lower = text.to_ascii_lowercase();
        let options =
            lower.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(options, _)| options);
        let is_line = options.is_some_and(|options| {
            options.split_whitespace().any(|option| option == "trusted=yes" || option == "allow-insecure=yes")
        });
        let is_field = lower.split_once(':').is_some_and(|(key, value)| {
            matches!(key.trim(), "trusted" | "allow-insecure") && value.trim() == "yes"
        });
        if is_line || is_field {
            self.observe(
                &APT,
                Severity::Medium,
                line,
                "apt trusts a repository without signatures".to_owned(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn analyze(path: &str, content: &[u8]) -> Found {
        SystemSettings.analyze(&CapturedFile { path, mode: 0o644, content }, &Limits::default())
    }

    #[test]
    fn settings_that_open_the_system_are_seen() {
        const PASSWD: &str = "etc/passwd";
        const SSHD: &str = "etc/ssh/sshd_config";
        const SOURCES: &str = "etc/apt/sources.list";
        for (path, content, expected) in [
            (PASSWD, "root:x:0:0::/root:/bin/sh\nbob:x:1:1::/:/bin/sh\n", &[][..]),
            (
                PASSWD,
                "root:x:0:0::/root:/bin/sh\r\ntoor:x:0:0::/:/bin/sh",
                &["2 toor is root under another name"],
            ),
            (PASSWD, "bob::5:5::/:/bin/sh", &["1 bob logs in without a password"]),
            (PASSWD, "a:x:5:5\nb:x:5:5", &["2 b and a share the number 5"]),
            (PASSWD, "a:x:5:5\na:x:5:5\n:::\n\0\nx", &[]),
            ("etc/group", "root:x:0:root\nbin:x:1:root,bin\nroot:x:0:\nx:y\n:x:9:\n", &[]),
            ("etc/group", "root:x:0:\nwheel:x:0:bob", &["2 the groups wheel and root share the number 0"]),
            (
                "etc/sudoers.d/passwd",
                "app ALL=(ALL) NOPASSWD: ALL",
                &["1 app becomes root without a password"],
            ),
            ("etc/sudoers", "# x NOPASSWD: ALL\nroot ALL=(ALL) ALL", &[]),
            ("etc/sudoers.d/app", "app ALL=(ALL) NOPASSWD:ALL", &["1 app becomes root without a password"]),
            (SSHD, "#PermitRootLogin yes\nPermitRootLogin no", &[]),
            (SSHD, "permitrootlogin=yes", &["1 The SSH server lets root log in with a password"]),
            (
                "etc/ssh/sshd_config.d/1.conf",
                "PermitEmptyPasswords yes",
                &["1 The SSH server accepts empty passwords"],
            ),
            (SOURCES, "deb [signed-by=/k] http://deb.debian.org/debian bookworm main", &[]),
            (
                SOURCES,
                "deb [arch=amd64 trusted=yes] http://x y z",
                &["1 apt trusts a repository without signatures"],
            ),
            (
                "etc/apt/sources.list.d/x.sources",
                "Trusted: yes",
                &["1 apt trusts a repository without signatures"],
            ),
            (
                "etc/apt/apt.conf.d/9x",
                "APT::Get::AllowUnauthenticated \"true\";",
                &["1 apt is told to install unsigned packages"],
            ),
            ("etc/apt/apt.conf.d/9x", "APT::Get::AllowUnauthenticated \"false\";", &[]),
        ] {
            let found = analyze(path, content.as_bytes());
            let titles = found.observations.iter();
            let titles: Vec<_> = titles.map(|one| format!("{} {}", one.line.unwrap(), one.title)).collect();
            assert_eq!(titles, expected, "{path} {content:?}");
        }
    }

    #[test]
    fn accounts_are_kept_within_bounds() {
        let found = analyze("etc/passwd", b"\xef\xbb\xbfroot:x:0:0::/root:/bin/sh\nbad:x:-1:0\nbob:x:7:7");
        let accounts: Vec<_> = found.accounts.iter().map(|account| (&*account.name, account.uid)).collect();
        assert_eq!(accounts, [("root", 0), ("bob", 7)]);
        let many: String = (0..10_000).map(|uid| format!("u{uid}::{uid}:0\n")).collect();
        let found = analyze("etc/passwd", many.as_bytes());
        assert_eq!((found.accounts.len(), found.observations.len()), (MOST_ACCOUNTS, MOST_OBSERVATIONS));
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>, file in 0..SystemSettings.triggers().len()) {
            let (Trigger::Path(path) | Trigger::Parent(path)) = SystemSettings.triggers()[file] else { unreachable!() };
            analyze(path, &content);
        }
    }
}
