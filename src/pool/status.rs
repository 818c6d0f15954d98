//! The numbers that describe a pool at one moment.

/// The numbers that describe a pool at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Connections that can be handed out at once; in an outage, only those that are open.
    pub available: u32,
    /// Connections that callers have.
    pub used: u32,
    /// Callers that wait for a connection.
    pub pending: u32,
    /// All connections: available, used, and those being opened, checked, cleaned or closed.
    pub total: u32,
    /// The option `min_connections`.
    pub min: u32,
    /// The option `max_connections`.
    pub max: u32,
}

impl Status {
    /// The numbers as a JSON object.
    pub fn to_json(&self) -> String {
        let Status { available, used, pending, total, min, max } = self;
        format!(
            r#"{{"available":{available},"used":{used},"pending":{pending},"total":{total},"min":{min},"max":{max}}}"#
        )
    }
}
