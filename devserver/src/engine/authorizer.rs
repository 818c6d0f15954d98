//! What a client's SQL may do inside its database, and nothing outside.

use crate::names;
use rusqlite::hooks::{AuthAction, AuthContext};

/// What was learned while a statement was compiled.
#[derive(Debug, Default)]
pub struct Facts {
    /// Why the statement was refused.
    pub refusal: Option<String>,
    /// The statement changes the schema.
    pub changes_schema: bool,
    /// The statement changes rows.
    pub changes_rows: bool,
}

/// Pragmas that only read, and take an argument at most to say of what.
const READING_PRAGMAS: &[&str] = &[
    "collation_list",
    "compile_options",
    "foreign_key_check",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Pragmas that read without an argument and write with one.
const READING_PRAGMAS_WITHOUT_VALUE: &[&str] = &[
    "application_id",
    "data_version",
    "encoding",
    "foreign_keys",
    "freelist_count",
    "journal_mode",
    "page_count",
    "page_size",
    "schema_version",
    "synchronous",
    "user_version",
];

const FORBIDDEN_FUNCTIONS: &[&str] =
    &["edit", "fts3_tokenizer", "load_extension", "readfile", "writefile"];

/// Judges one step of a statement; a refusal is put into `facts`.
pub fn allows(context: &AuthContext<'_>, facts: &mut Facts) -> bool {
    match refusal(context, facts) {
        None => true,
        Some(reason) => {
            facts.refusal.get_or_insert(reason);
            false
        }
    }
}

fn refusal(context: &AuthContext<'_>, facts: &mut Facts) -> Option<String> {
    use AuthAction as A;
    match context.action {
        A::Select | A::Recursive => None,
        A::Read { table_name, .. } => reserved(table_name),
        A::Insert { table_name } | A::Delete { table_name } | A::Update { table_name, .. } => {
            // A change of the schema shows up here too, as a change of SQLite's own tables.
            facts.changes_rows |= !table_name.starts_with("sqlite_");
            reserved(table_name)
        }
        A::CreateTable { table_name }
        | A::CreateIndex { table_name, .. }
        | A::CreateTrigger { table_name, .. }
        | A::DropTable { table_name }
        | A::DropIndex { table_name, .. }
        | A::DropTrigger { table_name, .. }
        | A::AlterTable { table_name, .. }
        | A::Analyze { table_name }
        | A::CreateVtable { table_name, .. }
        | A::DropVtable { table_name, .. } => {
            facts.changes_schema = true;
            if context.database_name == Some("temp") {
                return Some(no_temporary());
            }
            reserved(table_name)
        }
        A::CreateView { .. } | A::DropView { .. } | A::Reindex { .. } => {
            facts.changes_schema = true;
            None
        }
        A::CreateTempIndex { .. }
        | A::CreateTempTable { .. }
        | A::CreateTempTrigger { .. }
        | A::CreateTempView { .. }
        | A::DropTempIndex { .. }
        | A::DropTempTable { .. }
        | A::DropTempTrigger { .. }
        | A::DropTempView { .. } => Some(no_temporary()),
        A::Pragma { pragma_name, pragma_value } => {
            let among =
                |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(pragma_name));
            let reads = among(READING_PRAGMAS)
                || pragma_value.is_none() && among(READING_PRAGMAS_WITHOUT_VALUE);
            (!reads).then(|| format!("PRAGMA {pragma_name} is not allowed in this form"))
        }
        A::Function { function_name } => FORBIDDEN_FUNCTIONS
            .iter()
            .any(|forbidden| forbidden.eq_ignore_ascii_case(function_name))
            .then(|| format!("the function {function_name} is not allowed")),
        A::Attach { .. } => Some("ATTACH is not allowed".into()),
        A::Detach { .. } => Some("DETACH is not allowed".into()),
        A::Transaction { .. } | A::Savepoint { .. } => Some(
            "BEGIN, COMMIT, ROLLBACK and SAVEPOINT are not for queries: use POST /transactions, \
             and POST /transactions/{id}/commit or /rollback"
                .into(),
        ),
        _ => Some("a statement of this kind is not allowed".into()),
    }
}

fn reserved(table: &str) -> Option<String> {
    names::is_reserved(table).then(|| format!("the table {table:?} belongs to the server"))
}

/// Connections are shared: a temporary object would show up in some later client's request.
fn no_temporary() -> String {
    "temporary tables, views, indexes and triggers are not allowed".into()
}
