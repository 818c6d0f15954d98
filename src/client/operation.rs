//! The operations of the protocol by name, with the names of their arguments: what every binding
//! that calls them by number goes by.

use crate::client::routes::Request;
use crate::error::{Error, Result};

/// An argument of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// As errors and documentation call it.
    pub name: &'static str,
    /// Whether it may be left out.
    pub is_optional: bool,
}

const fn required(name: &'static str) -> Parameter {
    Parameter { name, is_optional: false }
}

const fn optional(name: &'static str) -> Parameter {
    Parameter { name, is_optional: true }
}

macro_rules! operations {
    ($($variant:ident = $number:literal, $name:literal, [$($parameter:expr),*], $text:literal;)+) => {
        /// An operation of the protocol, as a number that stays the same from version to version.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum Operation {
            $(#[doc = concat!($text, ".")] $variant = $number,)+
        }

        impl Operation {
            /// Every operation, in the order of their numbers.
            pub const ALL: &'static [Operation] = &[$(Operation::$variant,)+];

            /// Its name in snake case: `list_databases`.
            pub const fn name(self) -> &'static str {
                match self { $(Operation::$variant => $name,)+ }
            }

            /// Its arguments, in their order; those that may be left out come last.
            pub const fn parameters(self) -> &'static [Parameter] {
                match self { $(Operation::$variant => const { &[$($parameter),*] },)+ }
            }
        }
    };
}

operations! {
    HealthCheck = 1, "health_check", [], "Checks the server's health";
    ListDatabases = 2, "list_databases", [], "The names of all databases";
    CreateDatabase = 3, "create_database", [required("name")], "Creates a database";
    DropDatabase = 4, "drop_database", [required("database")],
        "Drops a database with everything in it";
    ListTables = 5, "list_tables", [required("database")], "The names of a database's tables";
    CreateTable = 6, "create_table", [required("database"), required("name"), required("columns")],
        "Creates a table; `columns` is a JSON array";
    DropTable = 7, "drop_table", [required("database"), required("table")],
        "Drops a table with all its rows";
    Insert = 8, "insert", [required("database"), required("table"), required("row")],
        "Inserts one row, a JSON object";
    Select = 9, "select", [required("database"), required("table"), optional("condition")],
        "Reads the rows that match an SQL condition, or all";
    Update = 10, "update",
        [required("database"), required("table"), required("data"), optional("condition")],
        "Updates the rows that match an SQL condition, or all; `data` is a JSON object";
    Delete = 11, "delete", [required("database"), required("table"), required("condition")],
        "Deletes the rows that match an SQL condition";
    ExecuteQuery = 12, "execute_query",
        [required("database"), required("sql"), optional("parameters")],
        "Runs one SQL statement; `parameters` is a JSON array";
    BeginTransaction = 13, "begin_transaction", [optional("database")], "Begins a transaction";
    CommitTransaction = 14, "commit_transaction", [optional("transaction_id")],
        "Commits the open transaction";
    RollbackTransaction = 15, "rollback_transaction", [optional("transaction_id")],
        "Rolls the open transaction back";
}

impl Operation {
    /// The operation with this number, if there is one.
    pub fn from_number(number: i32) -> Option<Operation> {
        Self::ALL.iter().copied().find(|operation| *operation as i32 == number)
    }

    /// Whether it means something only together with others on the same connection.
    pub fn is_of_transactions(self) -> bool {
        use Operation::{BeginTransaction, CommitTransaction, RollbackTransaction};
        matches!(self, BeginTransaction | CommitTransaction | RollbackTransaction)
    }

    /// The request that it sends. Optional arguments at the end may be left away altogether.
    ///
    /// # Errors
    /// `InvalidArgument` for too many arguments, one that is missing, or one that the function of
    /// this name of [`Request`] refuses.
    pub fn request(self, arguments: &[Option<&str>]) -> Result<Request> {
        let parameters = self.parameters();
        if arguments.len() > parameters.len() {
            let why = format!(
                "{} takes {} at most, not {}",
                self.name(),
                parameters.len(),
                arguments.len()
            );
            return Err(Error::invalid_argument("arguments", why));
        }
        let given = |index: usize| arguments.get(index).copied().flatten();
        for (index, parameter) in parameters.iter().enumerate() {
            if !parameter.is_optional && given(index).is_none() {
                return Err(Error::invalid_argument(parameter.name, "is missing"));
            }
        }
        let text = |index: usize| given(index).unwrap_or_default();
        match self {
            Operation::HealthCheck => Ok(Request::health_check()),
            Operation::ListDatabases => Ok(Request::list_databases()),
            Operation::CreateDatabase => Request::create_database(text(0)),
            Operation::DropDatabase => Request::drop_database(text(0)),
            Operation::ListTables => Request::list_tables(text(0)),
            Operation::CreateTable => Request::create_table(text(0), text(1), text(2)),
            Operation::DropTable => Request::drop_table(text(0), text(1)),
            Operation::Insert => Request::insert(text(0), text(1), text(2)),
            Operation::Select => Request::select(text(0), text(1), given(2)),
            Operation::Update => Request::update(text(0), text(1), text(2), given(3)),
            Operation::Delete => Request::delete(text(0), text(1), text(2)),
            Operation::ExecuteQuery => Request::execute_query(text(0), text(1), given(2)),
            Operation::BeginTransaction => Request::begin_transaction(given(0)),
            Operation::CommitTransaction => Request::commit_transaction(given(0)),
            Operation::RollbackTransaction => Request::rollback_transaction(given(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_numbered_upwards_without_gaps() {
        for (index, &operation) in Operation::ALL.iter().enumerate() {
            assert_eq!(operation as i32, index as i32 + 1);
            assert_eq!(Operation::from_number(operation as i32), Some(operation));
        }
        assert_eq!(Operation::from_number(0), None);
    }

    #[test]
    fn what_may_be_left_out_comes_last() {
        for operation in Operation::ALL {
            let parameters = operation.parameters();
            let first = parameters
                .iter()
                .position(|parameter| parameter.is_optional)
                .unwrap_or(parameters.len());
            assert!(
                parameters[first..].iter().all(|parameter| parameter.is_optional),
                "{operation:?}"
            );
        }
    }

    /// A good value for each argument.
    fn good(name: &str) -> &'static str {
        match name {
            "columns" | "parameters" => "[]",
            "row" | "data" => "{}",
            "condition" => "a = 1",
            "sql" => "SELECT 1",
            _ => "x",
        }
    }

    #[test]
    fn each_takes_its_arguments_and_misses_those_it_needs_by_name() {
        for operation in Operation::ALL {
            let parameters = operation.parameters();
            let all: Vec<_> =
                parameters.iter().map(|parameter| Some(good(parameter.name))).collect();
            operation.request(&all).unwrap();
            let needed = parameters.iter().take_while(|parameter| !parameter.is_optional).count();
            operation.request(&all[..needed]).unwrap();
            for missing in 0..needed {
                let name = parameters[missing].name;
                let mut given = all.clone();
                given[missing] = None;
                let error = operation.request(&given).unwrap_err();
                assert_eq!(error.message(), format!("{name}: is missing"));
                let error = operation.request(&all[..missing]).unwrap_err();
                assert_eq!(error.message(), format!("{name}: is missing"));
            }
            let mut given = all.clone();
            given.push(Some("one too many"));
            let error = operation.request(&given).unwrap_err();
            assert!(error.message().starts_with("arguments: "), "{error}");
        }
    }
}
