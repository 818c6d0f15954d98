//! When a server says that a request may be sent again.

use std::time::{Duration, SystemTime};

use ureq_proto::http::{HeaderMap, HeaderName, header};

/// A server may ask to wait longer; this is the most that is passed on.
const MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long to wait, from now on, by the Retry-After of a response: a number of seconds or a date.
/// A date that has passed means no time at all. `None` if it says neither.
pub(in crate::client) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    retry_after_at(headers, SystemTime::now())
}

fn retry_after_at(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that are no number of 64 bits are a large one.
        return Some(text.parse().map_or(MAX, Duration::from_secs).min(MAX));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let left = until.duration_since(server_time(headers, now)).unwrap_or(Duration::ZERO);
    Some(left.min(MAX))
}

/// What the server's clock shows, which the date is meant by, if it is not plainly wrong.
fn server_time(headers: &HeaderMap, now: SystemTime) -> SystemTime {
    let date = |name: HeaderName| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    match date(header::DATE) {
        Some(date) if now.duration_since(date).unwrap_or_else(|early| early.duration()) <= MAX => {
            date
        }
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01T00:00:00Z.
    const NOW: u64 = 1_767_225_600;

    fn seconds(headers: &[(&'static str, &str)]) -> Option<u64> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        retry_after_at(&map, now).map(|after| after.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_understood_and_nothing_else() {
        for (value, expected) in [
            ("0", Some(0)),
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("86401", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("Thu, 01 Jan 2026 00:00:30 GMT", Some(30)),
            ("Thursday, 01-Jan-26 00:00:30 GMT", Some(30)),
            ("Thu Jan  1 00:00:30 2026", Some(30)),
            ("Thu, 01 Jan 2026 00:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 1999 23:59:59 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            ("-7", None),
            ("+7", None),
            ("7.5", None),
            ("7, 8", None),
            ("soon", None),
            ("", None),
            ("Thu, 99 Jan 2026 00:00:30 GMT", None),
            ("2026-01-01T00:00:30Z", None),
        ] {
            assert_eq!(seconds(&[("retry-after", value)]), expected, "{value:?}");
        }
        assert_eq!(seconds(&[]), None);
    }

    #[test]
    fn a_date_is_meant_by_the_clock_of_the_server() {
        let after =
            |date| seconds(&[("retry-after", "Thu, 01 Jan 2026 00:10:30 GMT"), ("date", date)]);
        assert_eq!(after("Thu, 01 Jan 2026 00:10:00 GMT"), Some(30), "it is ten minutes ahead");
        assert_eq!(after("Thu, 01 Jan 2026 00:11:00 GMT"), Some(0));
        assert_eq!(after("Thu, 01 Jan 1970 00:00:00 GMT"), Some(630), "it has no clock");
        assert_eq!(after("now"), Some(630));
    }
}
