//! When a certificate is valid: the times that OpenSSL reads, and how it compares them.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};

use crate::der::{Fault, NOT_DER, Read, Reader, tag};

/// Seconds since 1970; `None` for a time in a form that no client accepts.
pub(crate) struct Validity {
    pub(crate) not_before: Option<i64>,
    pub(crate) not_after: Option<i64>,
}

/// What a validity says about a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Within,
    Before,
    After,
    /// One of the times is malformed.
    Unknown,
}

impl Validity {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut times = reader.expect(tag::SEQUENCE)?.reader();
        let not_before = time(&mut times)?;
        let not_after = time(&mut times)?;
        times.end()?;
        Ok(Self {
            not_before,
            not_after,
        })
    }

    /// OpenSSL compares whole seconds, and a certificate is over at its last one.
    pub(crate) fn at(&self, now: Timestamp) -> Moment {
        let now = whole_second(now);
        match (self.not_before, self.not_after) {
            (Some(begin), _) if now < begin => Moment::Before,
            (Some(_), Some(end)) if now >= end => Moment::After,
            (Some(_), Some(_)) => Moment::Within,
            _ => Moment::Unknown,
        }
    }
}

/// The second that has begun last, also before 1970.
fn whole_second(now: Timestamp) -> i64 {
    let second = now.as_second();
    if now.subsec_nanosecond() < 0 {
        second.saturating_sub(1)
    } else {
        second
    }
}

fn time(reader: &mut Reader<'_>) -> Read<Option<i64>> {
    let element = reader.element()?;
    let digits = match element.tag {
        tag::UTC_TIME if element.content.len() == 13 => {
            let century = if element.content.first() < Some(&b'5') {
                "20"
            } else {
                "19"
            };
            [century.as_bytes(), element.content].concat()
        }
        tag::GENERALIZED_TIME if element.content.len() == 15 => element.content.to_vec(),
        tag::UTC_TIME | tag::GENERALIZED_TIME => return Ok(None),
        other if other == tag::UTC_TIME | 0x20 || other == tag::GENERALIZED_TIME | 0x20 => {
            return Err(NOT_DER);
        }
        _ => return Err(Fault::Malformed),
    };
    Ok(seconds(&digits))
}

/// Reads `YYYYMMDDHHMMSSZ`.
fn seconds(text: &[u8]) -> Option<i64> {
    let digits = text.strip_suffix(b"Z")?;
    let pairs: Option<Vec<i8>> = digits.chunks_exact(2).map(pair).collect();
    let [century, year, month, day, hour, minute, second] = *pairs?.as_slice() else {
        return None;
    };
    let year = i16::from(century).checked_mul(100)?.checked_add(year.into())?;
    let time = Time::new(hour, minute, second, 0).ok()?;
    let moment = Date::new(year, month, day).ok()?.to_datetime(time);
    // Not as a timestamp, which ends a day before the year 9999 does.
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    Some(moment.duration_since(epoch).as_secs())
}

fn pair(digits: &[u8]) -> Option<i8> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}
