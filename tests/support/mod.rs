//! What the integration tests share. Each test program uses a part of it.
#![allow(dead_code)]

pub mod devserver;
pub mod fake_server;
