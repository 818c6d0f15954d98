//! Names in the path, values in the query, and the transaction in the head.

use crate::error::{Error, Result};
use crate::store::Place;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use percent_encoding::percent_decode;
use std::borrow::Cow;

/// The transaction that a request belongs to.
const TRANSACTION: &str = "x-phantomdb-transaction";

/// The names in the path, decoded.
#[derive(Debug)]
pub struct Names<T>(pub T);

impl<S, T> FromRequestParts<S> for Names<T>
where
    S: Send + Sync,
    Path<T>: FromRequestParts<S>,
    <Path<T> as FromRequestParts<S>>::Rejection: std::fmt::Display,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(rejection) => Err(Error::bad_request(format!(
                "a name in the path is not UTF-8 in percent-encoding: {rejection}"
            ))),
        }
    }
}

/// The values in the query.
///
/// One that a route does not know is refused: `DELETE` on a table drops all of it if the
/// condition gets lost, by a slip of the pen or an `&` that was not encoded.
#[derive(Debug)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Takes a value out.
    pub fn take(&mut self, name: &str) -> Result<Option<String>> {
        let Some(at) = self.0.iter().position(|(key, _)| key == name) else {
            return Ok(None);
        };
        let (_, value) = self.0.remove(at);
        if self.0.iter().any(|(key, _)| key == name) {
            return Err(Error::bad_request(format!("{name} is given twice")));
        }
        Ok(Some(value))
    }

    /// Takes a number out.
    pub fn take_number(
        &mut self,
        name: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>> {
        self.take(name)?
            .map(|text| {
                text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
                    Error::bad_request(format!(
                        "{name} must be a whole number from {} to {}, not {text:?}",
                        range.start(),
                        range.end()
                    ))
                })
            })
            .transpose()
    }

    /// Refuses what nobody took.
    pub fn finish(self) -> Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Error::bad_request(format!(
                "this route has no parameter {name:?} (an & or + within a value must be percent-encoded)"
            ))),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parts
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decoded(name)?, decoded(value)?))
            })
            .collect::<Result<_>>()
            .map(Self)
    }
}

/// Clients in the field write a space as `+` too, the way of HTML forms.
fn decoded(text: &str) -> Result<String> {
    let spaced =
        if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    percent_decode(spaced.as_bytes())
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| Error::bad_request("a value in the query is not UTF-8 in percent-encoding"))
}

/// The transaction that the request names.
#[derive(Debug)]
pub struct InTransaction(pub Option<String>);

impl InTransaction {
    /// Where the request runs.
    pub fn at(self, database: String) -> Place {
        Place { database, transaction: self.0 }
    }

    /// Refuses a transaction for what cannot be rolled back.
    pub fn none(self, what: &str) -> Result<()> {
        match self.0 {
            None => Ok(()),
            Some(_) => Err(Error::bad_request(format!("{what} cannot be part of a transaction"))),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InTransaction {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(Self(
            parts
                .headers
                .get(TRANSACTION)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        ))
    }
}
