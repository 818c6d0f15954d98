//! Options of a pool of any bytes: `phantomdb_pool_create` makes a pool, or says which option is
//! wrong, and never shows a secret.
#![no_main]

use std::ffi::{CStr, CString};
use std::ptr;

use libfuzzer_sys::fuzz_target;
use phantomdb::capi::{
    phantomdb_error, phantomdb_pool, phantomdb_pool_close_timeout, phantomdb_pool_create,
    phantomdb_pool_options, phantomdb_pool_options_init,
};

const SIZE: u32 = size_of::<phantomdb_pool_options>() as u32;

/// Takes values from the bytes; zeros when there are no more.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// Often a small number, sometimes any.
    fn number(&mut self) -> i64 {
        match self.byte() {
            0..128 => i64::from(self.byte()),
            128..192 => i64::from(u16::from_le_bytes(self.bytes())),
            _ => i64::from_le_bytes(self.bytes()),
        }
    }

    fn text(&mut self) -> Option<CString> {
        let length = usize::from(self.byte());
        let (text, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        let text: Vec<u8> = text.iter().copied().filter(|byte| *byte != 0).collect();
        (length > 0).then(|| CString::new(text).expect("it has no NUL"))
    }
}

fn pointer(text: &Option<CString>) -> *const std::ffi::c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

fuzz_target!(|data: &[u8]| {
    let mut source = Source(data);
    // SAFETY: a struct of numbers and pointers, which may all be zero.
    let mut options = unsafe { std::mem::zeroed::<phantomdb_pool_options>() };
    // SAFETY: it is as large as it says.
    assert_eq!(unsafe { phantomdb_pool_options_init(&mut options, SIZE) }, 0);
    let changed = source.number();
    let url = source.text();
    let token = source.text();
    // Files that there are not: reading one of any name may never end.
    let missing = CString::new("/nowhere/file.pem").expect("it has no NUL");
    let file = |bit: i64| if changed & bit == 0 { ptr::null() } else { missing.as_ptr() };
    if url.is_some() {
        options.base_url = pointer(&url);
    }
    options.token = pointer(&token);
    options.tls_ca_file = file(1);
    options.tls_cert_file = file(2);
    options.tls_key_file = file(4);
    if changed & 8 != 0 {
        options.min_connections = source.number() as u32;
        if options.min_connections <= 65_535 {
            // Making and closing tens of thousands takes seconds under the sanitizers.
            options.min_connections %= 2_000;
        }
        options.max_connections = source.number() as u32;
        options.max_connecting = source.number() as u32;
        options.max_waiters = source.number() as u32;
        options.validation = source.number() as i32;
        options.max_response_bytes = source.number() as u64;
    }
    if changed & 16 != 0 {
        options.acquire_timeout_ms = source.number();
        options.idle_timeout_ms = source.number();
        options.max_lifetime_ms = source.number();
        options.validate_after_ms = source.number();
        options.validation_timeout_ms = source.number();
        options.request_timeout_ms = source.number();
        options.connect_timeout_ms = source.number();
        options.close_timeout_ms = source.number();
        options.leak_threshold_ms = source.number();
        options.reserved = source.number() as i32;
        // Dialling any host is not for a test.
        options.preconnect = (source.number() as i32).max(1).wrapping_sub(1) & !1;
    }
    if changed & 32 != 0 {
        options.struct_size = (source.number() as u32).min(SIZE);
    }

    let (code, pool, message) = create(&options);
    if code == 0 {
        assert_eq!(message, "");
        // SAFETY: handles may be anything.
        assert_eq!(unsafe { phantomdb_pool_close_timeout(pool, 0, ptr::null_mut()) }, 0);
        return;
    }
    assert!(pool.is_null());
    assert!(!message.is_empty());
    // The message may tell what is wrong with the token, and nothing else of it: it is the same for
    // one of other characters.
    if let Some(token) = token {
        let other = |byte: u8| if byte.is_ascii_graphic() { b'x' } else { byte };
        let masked: Vec<u8> = token.as_bytes().iter().copied().map(other).collect();
        let masked = CString::new(masked).expect("it has no NUL");
        options.token = masked.as_ptr();
        assert_eq!(create(&options).2, message, "the token is told");
    }
});

/// The code, the pool, and the message.
fn create(options: &phantomdb_pool_options) -> (i32, *mut phantomdb_pool, String) {
    let mut pool = ptr::dangling_mut();
    // SAFETY: a struct of numbers.
    let mut error = unsafe { std::mem::zeroed::<phantomdb_error>() };
    // SAFETY: outputs are valid, and texts end with a NUL.
    let code = unsafe { phantomdb_pool_create(options, &mut pool, &mut error) };
    assert_eq!(code, error.code);
    // SAFETY: the library ends it with a NUL.
    let message = unsafe { CStr::from_ptr(error.message.as_ptr()) };
    (code, pool, message.to_str().expect("messages are UTF-8").to_owned())
}
