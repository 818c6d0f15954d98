//! What the library has of the operating system. With `capi`, the only room with `unsafe`.

pub mod clock;
pub mod fork;
pub mod locks;
pub mod per_process;
pub mod privileges;
pub mod random;
pub mod threads;
