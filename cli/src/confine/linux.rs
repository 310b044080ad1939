//! The measures of Linux, from the cheapest to the strictest.

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::set_no_new_privs;

use super::{Got, Needs, files, system_calls};

pub(super) fn confine(needs: &Needs) -> Vec<(&'static str, Got)> {
    vec![
        ("no new privileges", no_new_privileges()),
        ("no core dumps", no_core_dumps()),
        ("file system (landlock)", files::confine(needs)),
        // Last: it forbids what the others need.
        ("system calls (seccomp)", system_calls::confine(needs)),
    ]
}

/// No program that is started can have more rights than this one (`prctl(2)`, PR_SET_NO_NEW_PRIVS).
fn no_new_privileges() -> Got {
    match set_no_new_privs(true) {
        Ok(()) => Got::Full,
        Err(error) => Got::Nothing(error.to_string()),
    }
}

/// A core dump would hold credentials and, of every image, secrets.
fn no_core_dumps() -> Got {
    match setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        Ok(()) => Got::Full,
        Err(error) => Got::Nothing(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::Command;

    use super::super::{Got, Needs, Programs};

    /// In a thread of its own: what it gives up, the other tests keep.
    fn confined<T: Send + 'static>(needs: Needs, body: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let thread = std::thread::spawn(move || {
            let measures = super::confine(&needs);
            let offered = !measures.iter().any(|(_, got)| matches!(got, Got::Nothing(_)));
            // A kernel without them is what `Got` is for; there is nothing to see then.
            offered.then(body)
        });
        thread.join().expect("being confined stops no thread")
    }

    #[test]
    fn i7_who_takes_over_a_confined_process_writes_nothing_elsewhere_and_starts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("file"), elsewhere.path().join("file"));
        fs::write(elsewhere.path().join("readable"), "policy").unwrap();
        let readable = elsewhere.path().join("readable");
        let socket = elsewhere.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let needs = Needs { writes: vec![folder.path().to_owned()], programs: Programs::None };
        let seen = confined(needs, move || {
            (
                fs::write(inside, "ours").is_ok(),
                fs::read_to_string(&readable).is_ok(),
                fs::write(outside, "not ours").is_ok(),
                fs::remove_file(&readable).is_ok(),
                Command::new("/bin/true").status().is_ok(),
                // Who searches for malware may be another process.
                UnixStream::connect(socket).is_ok(),
            )
        });
        if let Some(seen) = seen {
            assert_eq!(seen, (true, true, false, false, false, true));
        }
    }

    #[test]
    fn a_credential_helper_that_is_configured_can_be_started() {
        let needs = Needs { writes: Vec::new(), programs: Programs::CredentialHelpers };
        let started =
            confined(needs, || Command::new("/bin/true").status().is_ok_and(|status| status.success()));
        assert_ne!(started, Some(false));
    }
}
