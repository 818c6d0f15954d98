//! What a scenario expects: JSON that the value has to equal, but for members of objects that it
//! does not name, and for objects like `{"$min": 3}`, which say what has to hold instead
//! (README.md has them all).

use crate::json::{Json, same_number};

/// Says why a value is not what was expected.
pub fn check(expected: &Json, value: &Json) -> Result<(), String> {
    matches(expected, Some(value), "")
}

fn matches(expected: &Json, value: Option<&Json>, place: &str) -> Result<(), String> {
    if let Json::Object(members) = expected {
        if members.keys().any(|name| name.starts_with('$')) {
            for (condition, operand) in members {
                fulfils(condition, operand, value, place).map_err(|why| {
                    differs(place, &format!("{condition} {operand}"), value, &why)
                })?;
            }
            return Ok(());
        }
    }
    let Some(value) = value else {
        return Err(differs(place, &expected.to_string(), None, ""));
    };
    let is_same = match (expected, value) {
        (Json::Object(members), Json::Object(_)) => {
            for (name, member) in members {
                matches(member, value.get(name), &format!("{place}.{name}"))?;
            }
            true
        }
        (Json::List(items), Json::List(others)) if items.len() == others.len() => {
            for (index, (item, other)) in items.iter().zip(others).enumerate() {
                matches(item, Some(other), &format!("{place}[{index}]"))?;
            }
            true
        }
        (Json::Number(one), Json::Number(other)) => same_number(one, other),
        (one, other) => one == other,
    };
    if is_same { Ok(()) } else { Err(differs(place, &expected.to_string(), Some(value), "")) }
}

fn differs(place: &str, expected: &str, value: Option<&Json>, why: &str) -> String {
    let place = if place.is_empty() {
        String::new()
    } else {
        format!("{}: ", place.trim_start_matches('.'))
    };
    let value = value.map_or("nothing".to_owned(), Json::to_string);
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    format!("{place}expected {expected}, got {value}{why}")
}

/// ASCII letters and digits only: what the spellings of a name have in common in all languages.
fn plain(name: &str) -> String {
    name.chars().filter(|it| *it != '_').flat_map(char::to_lowercase).collect()
}

fn fulfils(
    condition: &str,
    operand: &Json,
    value: Option<&Json>,
    place: &str,
) -> Result<(), String> {
    if condition == "$absent" {
        return match value {
            None | Some(Json::Null) => Ok(()),
            Some(_) => Err("it is there".to_owned()),
        };
    }
    let value = value.ok_or("it is not there")?;
    let text = || value.text().map_or_else(|| value.to_string(), str::to_owned);
    let texts = || match operand {
        Json::List(items) => items.iter().filter_map(Json::text).map(str::to_owned).collect(),
        one => one.text().map(str::to_owned).into_iter().collect::<Vec<_>>(),
    };
    let holds = match condition {
        "$contains" => texts().iter().all(|part| text().contains(part.as_str())),
        "$lacks" => !texts().iter().any(|part| text().contains(part.as_str())),
        "$starts" => texts().iter().all(|part| text().starts_with(part.as_str())),
        "$names" => texts().iter().all(|name| plain(&text()).starts_with(&plain(name))),
        "$min" => value.number().zip(operand.number()).is_some_and(|(it, least)| it >= least),
        "$max" => value.number().zip(operand.number()).is_some_and(|(it, most)| it <= most),
        "$size" => value.list().map(|items| items.len() as f64) == operand.number(),
        "$only" => match (operand, value) {
            (Json::Object(wanted), Json::Object(members)) => {
                matches(operand, Some(value), place)?;
                wanted.keys().eq(members.keys())
            }
            _ => false,
        },
        "$any" => operand
            .list()
            .is_some_and(|items| items.iter().any(|it| matches(it, Some(value), place).is_ok())),
        _ => return Err("there is no such condition".to_owned()),
    };
    if holds { Ok(()) } else { Err(String::new()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(expected: &str, value: &str) -> bool {
        check(&Json::parse(expected).unwrap(), &Json::parse(value).unwrap()).is_ok()
    }

    #[test]
    fn members_that_are_not_named_do_not_matter() {
        assert!(is(r#"{"a":1}"#, r#"{"a":1.0,"b":2}"#));
        assert!(!is(r#"{"a":1}"#, r#"{"b":2}"#));
        assert!(!is(r#"{"a":null}"#, r#"{"b":2}"#));
        assert!(!is("[1]", "[1,2]"));
        assert!(!is("[1]", "{}"));
    }

    #[test]
    fn each_condition_can_hold_and_can_fail() {
        for (expected, good, bad) in [
            (r#"{"$contains":["a","b"]}"#, r#""xbay""#, r#""xay""#),
            (r#"{"$lacks":"a"}"#, r#""b""#, r#""ab""#),
            (r#"{"$starts":"ab"}"#, r#""abc""#, r#""cab""#),
            (r#"{"$names":"max_connections"}"#, r#""MaxConnections: 0""#, r#""connections""#),
            (r#"{"$min":2}"#, "2", "1"),
            (r#"{"$max":2}"#, "2", "3"),
            (r#"{"$size":2}"#, "[1,2]", "[1]"),
            (r#"{"a":{"$absent":true}}"#, r#"{"b":1}"#, r#"{"a":1}"#),
            (r#"{"$only":{"a":1}}"#, r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
            (r#"{"$any":[1,2]}"#, "2", "3"),
            (r#"{"$min":1,"$max":2}"#, "2", "3"),
        ] {
            assert!(is(expected, good), "{expected} {good}");
            assert!(!is(expected, bad), "{expected} {bad}");
        }
        assert!(!is(r#"{"$unknown":1}"#, "1"));
    }

    #[test]
    fn what_differs_is_said_with_its_place() {
        let expected = Json::parse(r#"{"a":[{"b":1}]}"#).unwrap();
        let why = check(&expected, &Json::parse(r#"{"a":[{"b":2}]}"#).unwrap()).unwrap_err();
        assert_eq!(why, "a[0].b: expected 1, got 2");
    }
}
