//! What a value of a table may be.

/// What a [`Cell`](crate::Cell) holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// SQL's NULL, or a column that the row's object does not have.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number, kept as the server wrote it.
    Number,
    /// A string.
    String,
    /// A nested array or object, as JSON text.
    Json,
}

impl CellKind {
    pub(super) fn described(self) -> &'static str {
        match self {
            CellKind::Null => "null",
            CellKind::Bool => "a boolean",
            CellKind::Number => "a number",
            CellKind::String => "a string",
            CellKind::Json => "nested JSON",
        }
    }
}
