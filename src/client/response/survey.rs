//! The first look at a response: whether it is JSON, and where what matters of it is.

use std::ops::Range;

use crate::client::response::json::{self, JsonError, Quoted, Scanner, Shape, Token};
use crate::client::response::member::Member;
use crate::client::response::stop::Stop;
use crate::client::response::table::Source;

/// What a value is and where it stands in the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::client) struct Part {
    pub(in crate::client) shape: Shape,
    pub(in crate::client) place: Range<usize>,
}

/// What is in a response.
#[derive(Debug)]
pub(in crate::client) struct Survey {
    pub(in crate::client) whole: Part,
    members: [Option<Part>; Member::COUNT],
}

impl Survey {
    /// Of a response. Of two members with the same name the last one counts.
    pub(in crate::client) fn of(text: &str, stop: &Stop) -> Result<Survey, JsonError> {
        let bytes = text.as_bytes();
        let mut scanner = Scanner::new(0..bytes.len(), stop);
        let mut members = [const { None }; Member::COUNT];
        let first = scanner.expect(bytes)?;
        let shape = first.shape();
        let place = match &first {
            Token::Object(start) => {
                while let Token::Key(name) = scanner.expect(bytes)? {
                    let wanted = Survey::wanted(text, &name);
                    let value = scanner.expect(bytes)?;
                    let place = scanner.skip(bytes, &value)?;
                    if let Some(member) = wanted {
                        members[member.index()] = Some(Part { shape: value.shape(), place });
                    }
                }
                *start..scanner.place()
            }
            other => scanner.skip(bytes, other)?,
        };
        match scanner.next(bytes)? {
            None => Ok(Survey { whole: Part { shape, place }, members }),
            Some(_) => Err(JsonError::Invalid("trailing characters", scanner.place())),
        }
    }

    /// Which member has this name. One that is longer than any is not decoded, which would take as
    /// much memory again.
    fn wanted(text: &str, name: &Quoted) -> Option<Member> {
        // An escape has up to six bytes for a character.
        let may_be = name.content.len() <= 6 * Member::LONGEST;
        let name = may_be.then(|| json::strictly_decoded(text, name))??;
        Member::named(&name)
    }

    /// The first of these members that is there and is not null.
    pub(in crate::client) fn member(&self, members: &[Member]) -> Option<&Part> {
        let part = |member: &Member| self.members[member.index()].as_ref();
        members.iter().filter_map(part).find(|part| part.shape != Shape::Null)
    }

    /// What the first of these members says that holds a count: a whole number that is not
    /// negative. Anything else says nothing, since rows that can be read must not be lost for what
    /// stands beside them, nor the news of a write that was carried out.
    pub(in crate::client) fn count(&self, text: &str, members: &[Member]) -> Option<i64> {
        members.iter().find_map(|member| {
            let part = self.member(&[*member]).filter(|part| part.shape == Shape::Number)?;
            let count = json::exact_integer(text.get(part.place.clone())?).ok()?;
            (count >= 0).then_some(count)
        })
    }

    /// The rows of a query, `None` if it has none; or why they make no table.
    pub(in crate::client) fn of_query(&self) -> Result<Option<Source>, String> {
        let named = |member: Member| self.member(&[member]).map(|part| (member, part));
        let columns = named(Member::COLUMNS);
        if let (Some(columns), Some(rows)) = (columns, named(Member::ROWS)) {
            return Ok(Some(Source::Columns { columns: array(columns)?, rows: array(rows)? }));
        }
        if let Some(rows) =
            named(Member::RESULTS).or(named(Member::RECORDS)).or(named(Member::ROWS))
        {
            return Ok(Some(Source::Objects(array(rows)?)));
        }
        match columns {
            // No rows at all.
            Some(columns) => {
                let columns = array(columns)?;
                Ok(Some(Source::Columns { columns, rows: 0..0 }))
            }
            None => Ok(None),
        }
    }

    /// The rows of a `select`; or why there are none.
    pub(in crate::client) fn of_select(&self) -> Result<Source, String> {
        let whole = &self.whole;
        match whole.shape {
            Shape::Array => Ok(Source::Objects(whole.place.clone())),
            Shape::Object => {
                match (self.member(&[Member::RECORDS]), self.member(&[Member::COLUMNS])) {
                    (None, Some(columns)) if self.member(&[Member::ROWS]).is_some() => {
                        let rows = self.member(&[Member::ROWS]).map(|rows| (Member::ROWS, rows));
                        let rows = rows.map_or(Ok(0..0), array)?;
                        Ok(Source::Columns { columns: array((Member::COLUMNS, columns))?, rows })
                    }
                    _ => match self.member(&[Member::RECORDS, Member::ROWS, Member::RESULTS]) {
                        Some(part) if part.shape == Shape::Array => {
                            Ok(Source::Objects(part.place.clone()))
                        }
                        _ => Err("the response has no array `records`".to_owned()),
                    },
                }
            }
            other => Err(format!("the response is {other}, not an object")),
        }
    }

    /// Whether a query's object has rows, so that it is a table whatever was asked for.
    pub(in crate::client) fn has_rows(&self) -> bool {
        let is_array =
            |member| self.member(&[member]).is_some_and(|part| part.shape == Shape::Array);
        [Member::RESULTS, Member::RECORDS, Member::ROWS].into_iter().any(is_array)
    }
}

fn array((member, part): (Member, &Part)) -> Result<Range<usize>, String> {
    match part.shape {
        Shape::Array => Ok(part.place.clone()),
        other => Err(format!("`{}` is {other}, not an array", member.name())),
    }
}
