//! The fast path of the pool (`src/pool/fast_path`) under loom, with the library's own files and a machine
//! that is as small as can be.
//!
//! Each test is a few threads in every order, and with every outcome of loads and stores, that the memory
//! model allows; up to a number of preemptions, since more of them find nothing new in much more time.
#![cfg(loom)]

#[path = "../../../src/os"]
pub mod os {
    pub mod atomic;
    pub mod permanent;
    pub mod clock {
        pub type Moment = u64;
        pub const NEVER: Moment = 0;
        pub const ALWAYS: Moment = Moment::MAX;
    }
}

#[path = "../../../src/pool"]
pub mod pool {
    pub mod histogram;
    pub mod fast_path {
        pub mod slot;
        pub mod stack;
        pub mod word;
    }
}

#[cfg(test)]
mod machine;
#[cfg(test)]
mod tests;
