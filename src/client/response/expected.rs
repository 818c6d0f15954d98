//! What an operation expects of its response.

use crate::client::response::member::Member;

/// What an operation makes of a successful response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Expected {
    /// The whole object.
    Object,
    /// The array of names in this member.
    Names(Member),
    /// The array of row objects of a `select`.
    Records,
    /// The whole object of a query, which holds a table.
    Query,
    /// Whatever it is: a request that has no name here.
    Anything,
}
