//! Policy files and the expressions in them: a policy or an error with a place, and what parses parses the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::policy::Policy;

fuzz_target!(|text: &str| {
    if let Ok(policy) = Policy::parse(text) {
        let again = Policy::parse(&policy.source).expect("it parsed a moment ago");
        assert_eq!(policy.revision, again.revision);
    }
});
