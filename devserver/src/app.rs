//! What every request can get at.

use crate::figures::Figures;
use crate::origin::Names;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

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
    /// The largest response.
    pub max_result_bytes: usize,
    /// The largest body that is accepted.
    pub max_body_bytes: usize,
    /// Bytes that all bodies at hand may take together.
    pub max_total_body_bytes: usize,
    /// Bytes that all bodies at hand may still take together.
    pub bodies: Arc<Semaphore>,
    /// How long a client may take for a body.
    pub client_timeout: Duration,
}
