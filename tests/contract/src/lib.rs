//! What the contract suite and the soak share: agents for each language, servers, scenarios.

pub mod agent;
pub mod column;
pub mod devserver;
#[path = "../../support/fault_proxy.rs"]
pub mod fault_proxy;
pub mod json;
pub mod pattern;
pub mod play;
#[path = "../../support/port.rs"]
pub mod port;
pub mod responses;
pub mod scenario;
pub mod server;
pub mod step;
pub mod table;
