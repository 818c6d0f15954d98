//! The members of a response's object that are ever read.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct Member(usize);

const NAMES: [&str; Member::COUNT] = [
    "error",
    "columns",
    "rows",
    "results",
    "records",
    "databases",
    "tables",
    "affectedRows",
    "affected_rows",
    "count",
    "inserted",
    "rowCount",
    "row_count",
    "transaction_id",
    "transactionId",
];

impl Member {
    pub(in crate::client) const COUNT: usize = 15;
    /// How many bytes the longest name has.
    pub(in crate::client) const LONGEST: usize = 14;

    pub(in crate::client) const ERROR: Member = Member(0);
    pub(in crate::client) const COLUMNS: Member = Member(1);
    pub(in crate::client) const ROWS: Member = Member(2);
    pub(in crate::client) const RESULTS: Member = Member(3);
    pub(in crate::client) const RECORDS: Member = Member(4);
    pub(in crate::client) const DATABASES: Member = Member(5);
    pub(in crate::client) const TABLES: Member = Member(6);
    /// What servers call the number of rows that a statement changed.
    pub(in crate::client) const AFFECTED_ROWS: &[Member] =
        &[Member(7), Member(8), Member(9), Member(10)];
    /// What servers call the number of rows of a response.
    pub(in crate::client) const ROW_COUNT: &[Member] = &[Member(11), Member(12)];
    /// What servers call a transaction's id.
    pub(in crate::client) const TRANSACTION_ID: &[Member] = &[Member(13), Member(14)];

    /// The one of this name.
    pub(in crate::client) fn named(name: &str) -> Option<Member> {
        NAMES.iter().position(|other| *other == name).map(Member)
    }

    pub(in crate::client) fn name(self) -> &'static str {
        NAMES[self.0]
    }

    /// Less than [`Member::COUNT`].
    pub(in crate::client) fn index(self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_name() {
        let one = |member: Member| member.name();
        let all =
            |members: &[Member]| members.iter().map(|member| member.name()).collect::<Vec<_>>();
        assert_eq!(one(Member::ERROR), "error");
        assert_eq!(one(Member::COLUMNS), "columns");
        assert_eq!(one(Member::ROWS), "rows");
        assert_eq!(one(Member::RESULTS), "results");
        assert_eq!(one(Member::RECORDS), "records");
        assert_eq!(one(Member::DATABASES), "databases");
        assert_eq!(one(Member::TABLES), "tables");
        let counts = ["affectedRows", "affected_rows", "count", "inserted"];
        assert_eq!(all(Member::AFFECTED_ROWS), counts);
        assert_eq!(all(Member::ROW_COUNT), ["rowCount", "row_count"]);
        assert_eq!(all(Member::TRANSACTION_ID), ["transaction_id", "transactionId"]);
        for (index, name) in NAMES.iter().enumerate() {
            assert_eq!(Member::named(name).map(Member::index), Some(index));
            assert!(name.len() <= Member::LONGEST);
        }
        assert_eq!(Member::named("other"), None);
    }
}
