//! seccomp: which system calls are refused (`seccomp(2)`).
//!
//! A list of what is refused, not of what is allowed: the runtime, the allocator and the C library may use other calls in
//! their next version, and a scanner that dies of one is a scanner that passes nothing. Refused are those by which
//! a process that was taken over would get further: other programs, other processes, the kernel itself.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch, apply_filter};

use super::{Got, Needs, Programs};

/// `EPERM`: the answer that programs expect of what they may not do.
const NOT_PERMITTED: u32 = 1;

pub(super) fn confine(needs: &Needs) -> Got {
    match apply(needs) {
        Ok(()) => match needs.programs {
            Programs::None => Got::Full,
            Programs::CredentialHelpers => {
                Got::Part("all but starting programs: credential helpers are configured")
            }
        },
        Err(error) => Got::Nothing(error.to_string()),
    }
}

fn apply(needs: &Needs) -> Result<(), seccompiler::Error> {
    let architecture: TargetArch = std::env::consts::ARCH.try_into()?;
    let programs = match needs.programs {
        Programs::None => STARTING_PROGRAMS,
        Programs::CredentialHelpers => &[],
    };
    let refused = REFUSED.iter().chain(programs);
    let rules: BTreeMap<i64, Vec<SeccompRule>> = refused.map(|call| (*call, Vec::new())).collect();
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(NOT_PERMITTED), architecture)?;
    let program: BpfProgram = filter.try_into()?;
    apply_filter(&program)
}

const STARTING_PROGRAMS: &[i64] = &[libc::SYS_execve, libc::SYS_execveat];

const REFUSED: &[i64] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Another view of the system.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_open_by_handle_at,
    // The kernel itself, and parts of it with a long history of flaws.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_personality,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
];
