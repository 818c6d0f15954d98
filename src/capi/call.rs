//! What every function of the ABI has in common.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_void};
use std::panic::{self, AssertUnwindSafe};
use std::slice;
use std::sync::Once;

use super::error::{phantomdb_code, phantomdb_error};
use crate::error::{Code, Error, Result};
use crate::os::threads::Uncancelled;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static PANIC_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs the body of a function like [`call_at_once`], but lets no cancellation of the thread
/// (`pthread_cancel`) take effect in it: `poll`, `write`, `close` and others are cancellation
/// points. The thread ends afterwards instead.
///
/// # Safety
/// As for [`call_at_once`].
pub unsafe fn call(error: *mut phantomdb_error, body: impl FnOnce() -> Result<()>) -> i32 {
    let _uncancelled = Uncancelled::begin();
    // SAFETY: `error` is NULL or writable: this function asks the same of its caller.
    unsafe { call_at_once(error, body) }
}

/// Runs the body of a function: turns its outcome into a code and a filled or cleared `error`,
/// and a panic into `PHANTOMDB_ERR_PANIC`. For bodies that reach no cancellation point, or
/// disable cancellation themselves: they are so short that disabling it would double their time.
///
/// # Safety
/// `error` is NULL or points to a `phantomdb_error` that nobody else uses meanwhile.
pub unsafe fn call_at_once(error: *mut phantomdb_error, body: impl FnOnce() -> Result<()>) -> i32 {
    let outcome = without_panic(body);
    // SAFETY: `error` is NULL or writable, and nobody else uses it meanwhile.
    let error = unsafe { error.as_mut() };
    match outcome {
        Ok(()) => {
            if let Some(error) = error {
                error.clear();
            }
            phantomdb_code::PHANTOMDB_OK as i32
        }
        Err(failure) => {
            if let Some(error) = error {
                error.fill(&failure);
            }
            failure.code() as i32
        }
    }
}

fn without_panic(body: impl FnOnce() -> Result<()>) -> Result<()> {
    install_quiet_hook();
    DEPTH.set(DEPTH.get() + 1);
    let outcome = panic::catch_unwind(AssertUnwindSafe(body));
    DEPTH.set(DEPTH.get() - 1);
    outcome.unwrap_or_else(|payload| Err(panic_error(payload.as_ref())))
}

fn panic_error(payload: &(dyn Any + Send)) -> Error {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let place = PANIC_PLACE.take().unwrap_or_else(|| "at an unknown place".to_owned());
    Error::new(
        Code::Panic,
        format!("A bug in libphantomdb: {text} ({place}). The pool stays usable; please report it"),
    )
}

/// The library prints nothing, so a panic inside a call must not either. Panics elsewhere in the
/// process (a Rust program that the library is linked into) go to the previous hook.
fn install_quiet_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if DEPTH.get() == 0 {
                previous(info);
            } else {
                PANIC_PLACE.set(info.location().map(ToString::to_string));
            }
        }));
    });
}

/// A text argument.
///
/// # Safety
/// `text` is NULL or ended by a NUL, and stays unchanged for `'a`.
pub unsafe fn text<'a>(name: &str, text: *const c_char) -> Result<&'a str> {
    // SAFETY: `text` is NULL or ends with a NUL: this function asks the same of its caller.
    unsafe { optional_text(name, text) }?.ok_or_else(|| Error::invalid_argument(name, "is NULL"))
}

/// A text argument that may be NULL.
///
/// # Safety
/// As for [`text`].
pub unsafe fn optional_text<'a>(name: &str, text: *const c_char) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: `text` is not NULL, so it ends with a NUL and stays unchanged for `'a`.
    let bytes = unsafe { CStr::from_ptr(text) };
    match bytes.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(error) => Err(Error::invalid_argument(
            name,
            format_args!("is not valid UTF-8 at byte {}", error.valid_up_to()),
        )),
    }
}

/// A bytes argument; NULL with length 0 means an empty one.
///
/// # Safety
/// `bytes` is NULL or points to `length` bytes that stay unchanged for `'a`.
pub unsafe fn bytes<'a>(name: &str, bytes: *const c_void, length: u64) -> Result<Option<&'a [u8]>> {
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= isize::MAX as usize)
        .ok_or_else(|| Error::invalid_argument(name, format_args!("{length} bytes is too long")))?;
    if bytes.is_null() {
        if length != 0 {
            return Err(Error::invalid_argument(
                name,
                format_args!("is NULL, but its length is {length}"),
            ));
        }
        return Ok(None);
    }
    // SAFETY: `bytes` is not NULL, so it has `length` bytes that stay unchanged for `'a`; they are
    // no more than an object can have.
    Ok(Some(unsafe { slice::from_raw_parts(bytes.cast(), length) }))
}

/// An output argument that must not be NULL.
///
/// # Safety
/// `output` is NULL or may be written to.
pub unsafe fn output<'a, T>(name: &str, output: *mut T) -> Result<&'a mut T> {
    // SAFETY: `output` is NULL or writable, and nobody else uses it meanwhile.
    unsafe { output.as_mut() }.ok_or_else(|| Error::invalid_argument(name, "is NULL"))
}

/// What the program passed for its own callback; the library only passes it on.
#[derive(Clone, Copy)]
pub struct UserData(pub *mut c_void);

impl UserData {
    pub fn get(self) -> *mut c_void {
        self.0
    }
}

// SAFETY: the library never follows the pointer. It hands it to the callback that came with it,
// which the header says runs on another thread.
unsafe impl Send for UserData {}
// SAFETY: a shared reference gives no more than a copy of the pointer, which is never followed.
unsafe impl Sync for UserData {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::MaybeUninit;

    fn message(error: &phantomdb_error) -> String {
        // SAFETY: `fill` and `clear` end the message with a NUL.
        unsafe { CStr::from_ptr(error.message.as_ptr()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_panic_becomes_a_code_with_its_text_and_place() {
        let mut error = MaybeUninit::uninit();
        // SAFETY: `error` is ours and may be written to.
        let code = unsafe { call(error.as_mut_ptr(), || panic!("oh {}", "no")) };
        // SAFETY: `call` filled it.
        let error = unsafe { error.assume_init() };
        assert_eq!(code, Code::Panic as i32);
        assert_eq!(error.code, code);
        assert!(message(&error).contains("oh no (src/capi/call.rs:"), "{}", message(&error));
    }

    #[test]
    fn an_error_is_filled_and_then_cleared() {
        let mut error = MaybeUninit::uninit();
        let failure = Error::new(Code::Http, "no such table").with_http_status(404);
        // SAFETY: `error` is ours and may be written to.
        assert_eq!(unsafe { call(error.as_mut_ptr(), || Err(failure)) }, -12);
        // SAFETY: `call` filled it.
        let mut error = unsafe { error.assume_init() };
        assert_eq!((error.code, error.http_status), (-12, 404));
        assert_eq!(message(&error), "no such table");
        // SAFETY: as above.
        assert_eq!(unsafe { call(&raw mut error, || Ok(())) }, 0);
        assert_eq!((error.code, error.http_status), (0, 0));
        assert_eq!(message(&error), "");
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_by_name() {
        // SAFETY: ended by a NUL.
        let refused = unsafe { text("database", c"pr\xffod".as_ptr()) }.unwrap_err();
        assert_eq!(refused.message(), "database: is not valid UTF-8 at byte 2");
        // SAFETY: NULL is allowed.
        let refused = unsafe { text("database", std::ptr::null()) }.unwrap_err();
        assert_eq!(refused.message(), "database: is NULL");
    }

    #[test]
    fn no_bytes_are_fine_and_null_bytes_are_not() {
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { bytes("body", std::ptr::null(), 0) }, Ok(None));
        // SAFETY: as above.
        assert!(unsafe { bytes("body", std::ptr::null(), 5) }.is_err());
        // SAFETY: refused before it is looked at.
        assert!(unsafe { bytes("body", c"x".as_ptr().cast(), u64::MAX) }.is_err());
    }
}
