//! The C ABI: what `include/phantomdb.h` declares, with a file for each task.
//!
//! Each function translates its arguments, calls the core and translates the outcome; nothing is
//! decided here. `call` has what all of them share, `handles` and `tables` the handles.
//!
//! # Safety
//! What a C caller promises and no check can find out: a pointer argument that is not a handle is
//! NULL or points to what its type says, a text ends with a NUL, there are as many bytes as their
//! length says, and nobody changes any of them during the call. The header says so, too.
#![allow(unsafe_code, non_camel_case_types)]
// The section above holds for each function.
#![allow(clippy::missing_safety_doc)]
#![deny(clippy::undocumented_unsafe_blocks)]

mod asynchronous;
mod call;
mod completion;
mod completion_queue;
mod connection;
mod error;
mod fork;
mod handles;
mod leases;
mod member;
mod operation;
mod option_info;
mod option_table;
mod options;
mod pending_close;
mod pool;
mod reading;
mod request;
mod result;
mod rw_lock;
mod statistics;
mod step;
mod structs;
mod tables;
mod value;
mod version;

pub use asynchronous::*;
pub use completion::*;
pub use completion_queue::*;
pub use connection::*;
pub use error::*;
pub use member::*;
pub use operation::*;
pub use option_info::*;
pub use option_table::*;
pub use options::*;
pub use pool::*;
pub use reading::*;
pub use request::*;
pub use result::*;
pub use statistics::*;
pub use step::*;
pub use value::*;
pub use version::*;
