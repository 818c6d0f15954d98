//! What the library needs of the operating system. With `capi`, the only code with `unsafe`.

pub mod atomic;
pub mod clock;
pub mod eventfd;
pub mod fork;
pub mod locks;
pub mod per_process;
pub mod permanent;
pub mod privileges;
pub mod random;
pub mod socket;
pub mod threads;
