//! What must happen in one step on the server, and is therefore Lua.
//!
//! Each script names its keys, arguments and answer in its own first lines. They touch the keys of one
//! digest, or one note, only, so they run in a cluster too.

use redis::{Script, ScriptInvocation};

/// The scripts, hashed once: the server is sent the hash, and the text only when it asks for it.
pub(super) struct Scripts {
    pub(super) acquire: Script,
    pub(super) renew: Script,
    pub(super) release: Script,
    pub(super) store: Script,
    pub(super) restate: Script,
    pub(super) pending: Script,
    pub(super) keep: Script,
    pub(super) claim: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            acquire: Script::new(include_str!("acquire.lua")),
            renew: Script::new(include_str!("renew.lua")),
            release: Script::new(include_str!("release.lua")),
            store: Script::new(include_str!("store.lua")),
            restate: Script::new(include_str!("restate.lua")),
            pending: Script::new(include_str!("pending.lua")),
            keep: Script::new(include_str!("keep.lua")),
            claim: Script::new(include_str!("claim.lua")),
        }
    }
}

/// A call of `script` about these keys; arguments are added by the caller.
pub(super) fn call<'a>(script: &'a Script, keys: &[String]) -> ScriptInvocation<'a> {
    let mut call = script.prepare_invoke();
    for key in keys {
        call.key(key.as_str());
    }
    call
}
