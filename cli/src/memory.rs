//! Giving memory back to the kernel as soon as nobody uses it.
//!
//! The allocator keeps what was freed for a while, and a thread that has nothing to do does not look whether the while is
//! over: threads that have read a layer sit on the memory that the report needs next. Where images are read nothing
//! is kept; that took 40 of 177 MB from a worker's peak, and no processor time that could be measured.

use std::ffi::{c_int, c_long};

/// `mi_option_purge_delay` of mimalloc 2's `enum mi_option_e`, in milliseconds: the crate has no name for it.
const PURGE_DELAY: c_int = 15;

#[expect(unsafe_code, reason = "an option of the allocator that its crate does not offer")]
// SAFETY: the declaration is the one of mimalloc.h, and the allocator of this program is mimalloc.
unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
}

/// Keeps nothing from now on. To be called before there are threads.
#[expect(unsafe_code, reason = "an option of the allocator that its crate does not offer")]
pub(crate) fn give_back_at_once() {
    // SAFETY: it writes one number of a table that others only read, and there is no other thread yet; a number that is no
    // option's is ignored, and every value is a valid delay.
    unsafe { mi_option_set(PURGE_DELAY, 0) };
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[expect(unsafe_code, reason = "an option of the allocator that its crate does not offer")]
    // SAFETY: the declaration is the one of mimalloc.h.
    unsafe extern "C" {
        fn mi_option_get(option: c_int) -> c_long;
    }

    #[expect(unsafe_code, reason = "an option of the allocator that its crate does not offer")]
    fn delay() -> c_long {
        // SAFETY: it reads one number, and gives zero for a number that is no option's.
        unsafe { mi_option_get(PURGE_DELAY) }
    }

    /// mimalloc takes its options from variables of their names.
    #[test]
    fn the_option_is_the_one_that_is_meant() {
        const NAME: &str = "MIMALLOC_PURGE_DELAY";
        if let Ok(given) = std::env::var(NAME) {
            assert_eq!(delay().to_string(), given);
            give_back_at_once();
            assert_eq!(delay(), 0);
            return;
        }
        let myself = std::env::current_exe().unwrap();
        let test = "memory::tests::the_option_is_the_one_that_is_meant";
        let told = Command::new(myself).args(["--exact", test]).env(NAME, "1234").output().unwrap();
        let said = String::from_utf8_lossy(&told.stdout);
        assert!(told.status.success() && said.contains("1 passed"), "{said}");
    }
}
