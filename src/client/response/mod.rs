//! Responses, read once and checked: tables, lists and texts, the cells of tables, and the server's
//! own errors.

pub(super) mod body;
pub(super) mod cell;
pub(super) mod cell_kind;
pub(super) mod columns;
pub(super) mod escaped;
pub(super) mod excerpt;
pub(super) mod expected;
pub(super) mod json;
pub(super) mod list;
pub(super) mod mask;
pub(super) mod member;
pub(super) mod plain_list;
pub(super) mod reading;
#[expect(clippy::module_inception, reason = "the response itself, among what it is made of")]
pub(super) mod response;
pub(super) mod segments;
pub(super) mod server_error;
pub(super) mod stop;
pub(super) mod survey;
pub(super) mod table;
pub(super) mod text;
pub(super) mod tokens;
pub(super) mod words;
