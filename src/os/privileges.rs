//! Whether the user of this program may decide what it does.
#![allow(unsafe_code)]

/// Whether this program has rights that its user has not, because its file is set-uid or set-gid or
/// has capabilities (AT_SECURE). Its environment is the user's, and not to be believed then.
pub fn is_privileged() -> bool {
    // SAFETY: it only looks a number up that the system gave this process at its start.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
