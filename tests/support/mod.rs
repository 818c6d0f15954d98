//! What the integration tests share. Each test program uses a part of it.
#![allow(dead_code)]

pub mod alone;
pub mod certificate;
pub mod devserver;
pub mod fake_server;
pub mod fault_proxy;
pub mod folder;
pub mod hostile;
pub mod port;
