//! Threads of the operating system.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::thread::Builder;

/// As large as std makes it.
const STACK: usize = 2 * 1024 * 1024;

pub type JoinHandle = std::thread::JoinHandle<()>;

/// Starts a thread that gets none of the program's signals: those are for its own threads.
pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle> {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // A thread is born with the mask of the one that starts it.
    // SAFETY: sigfillset initialises the set that pthread_sigmask then reads; the old mask is
    // written to a local of the right type.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    // Without a size, std would take it from the environment (RUST_MIN_STACK).
    let thread = Builder::new().name(name.to_owned()).stack_size(STACK).spawn(run);
    // SAFETY: pthread_sigmask can't fail with these arguments, so `before` is initialised.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    thread
}

/// What `pthread_cancel` asks of a thread waits while this is there: it would unwind through this
/// library's code, and Rust ends the process then.
pub struct Uncancelled(libc::c_int);

const PTHREAD_CANCEL_DISABLE: libc::c_int = 1;

unsafe extern "C" {
    fn pthread_setcancelstate(state: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
}

impl Uncancelled {
    pub fn begin() -> Uncancelled {
        let mut before = PTHREAD_CANCEL_DISABLE;
        // SAFETY: it writes to a local of the right type, and changes this thread alone.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut before) };
        Uncancelled(before)
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        let mut before = 0;
        // SAFETY: it writes to a local of the right type; the state is one that it returned.
        unsafe { pthread_setcancelstate(self.0, &raw mut before) };
    }
}

/// The next cancellation point of this thread ends it.
#[cfg(test)]
pub fn cancel_this_thread() {
    // SAFETY: it only marks the thread, which is there, since it is this one.
    unsafe { libc::pthread_cancel(libc::pthread_self()) };
}
