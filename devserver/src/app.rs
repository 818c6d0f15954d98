//! What every request can get at.

use crate::figures::Figures;
use crate::routes::guard::Names;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;

/// The server without its sockets.
#[derive(Debug)]
pub struct App {
    /// The databases.
    pub store: Arc<Store>,
    /// What is counted.
    pub figures: Arc<Figures>,
    /// The names that the server goes by.
    pub names: Names,
    /// The token that requests must carry.
    pub token: Option<String>,
    /// The largest body that is accepted.
    pub max_body_bytes: usize,
    /// How long a client may take for a body.
    pub client_timeout: Duration,
}
