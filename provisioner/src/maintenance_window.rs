//! Maintenance windows: the times at which rotations may start. Pure.
//!
//! `Sat,Sun 02:00-05:00 Europe/Berlin; Mon-Fri 03:00-04:00`: days, times, and a time zone of the IANA database, UTC by
//! default; several windows are separated by semicolons. `daily` means every day. A window that ends before it starts
//! ends on the next day; one that ends when it starts lasts for a day.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

#[cfg(test)]
mod tests;

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// One or more times that repeat every week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    text: String,
    spans: Vec<Weekly>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Weekly {
    days: Vec<Weekday>,
    from: Time,
    to: Time,
    zone: TimeZone,
}

/// Why a text is not a window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoWindow {
    /// A part is missing.
    #[error("{0:?} is not of the form `Sat,Sun 02:00-05:00 Europe/Berlin`")]
    Form(String),
    /// A day is none.
    #[error("{0:?} is not a day: use Mon, Tue, Wed, Thu, Fri, Sat, Sun, a range such as Mon-Fri, or daily")]
    Day(String),
    /// A time is none.
    #[error("{0:?} is not a time of day such as 02:30")]
    Time(String),
    /// A time zone is not known.
    #[error("{0:?} is not a known time zone: use one from the IANA database, such as Europe/Berlin")]
    Zone(String),
}

impl FromStr for Window {
    type Err = NoWindow;

    fn from_str(text: &str) -> Result<Self, NoWindow> {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        let spans: Vec<_> = parts.map(str::parse).collect::<Result<_, _>>()?;
        if spans.is_empty() {
            return Err(NoWindow::Form(text.to_owned()));
        }
        Ok(Self {
            text: text.trim().to_owned(),
            spans,
        })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Window {
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        self.spans.iter().any(|span| span.is_open(now))
    }

    pub(crate) fn opens(&self, now: Timestamp) -> Option<Timestamp> {
        self.spans.iter().filter_map(|span| span.opens(now)).min()
    }
}

impl FromStr for Weekly {
    type Err = NoWindow;

    fn from_str(text: &str) -> Result<Self, NoWindow> {
        let form = || NoWindow::Form(text.to_owned());
        let mut words = text.split_whitespace();
        let (days, times) = (words.next().ok_or_else(form)?, words.next().ok_or_else(form)?);
        let zone = words.next();
        if words.next().is_some() {
            return Err(form());
        }
        let (from, to) = times.split_once('-').ok_or_else(form)?;
        Ok(Self {
            days: read_days(days)?,
            from: read_time(from)?,
            to: read_time(to)?,
            zone: match zone {
                None => TimeZone::UTC,
                Some(zone) => TimeZone::get(zone).map_err(|_| NoWindow::Zone(zone.to_owned()))?,
            },
        })
    }
}

impl Weekly {
    fn is_open(&self, now: Timestamp) -> bool {
        let now = now.to_zoned(self.zone.clone());
        let (today, time) = (now.weekday(), now.time());
        let begins = |day| self.days.contains(&day);
        if self.from < self.to {
            return begins(today) && self.from <= time && time < self.to;
        }
        (begins(today) && self.from <= time) || (begins(today.previous()) && time < self.to)
    }

    fn opens(&self, now: Timestamp) -> Option<Timestamp> {
        let today = now.to_zoned(self.zone.clone()).date();
        let begins = (0..=7).filter_map(|day: i64| {
            let after: Span = day.days();
            let date = today.checked_add(after).ok()?;
            let begin = date.to_datetime(self.from).to_zoned(self.zone.clone()).ok()?;
            self.days.contains(&date.weekday()).then(|| begin.timestamp())
        });
        begins.filter(|begin| *begin > now).min()
    }
}

fn read_days(text: &str) -> Result<Vec<Weekday>, NoWindow> {
    let all = || DAYS.map(|(_, day)| day).to_vec();
    if text.eq_ignore_ascii_case("daily") {
        return Ok(all());
    }
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (read_day(first)?, read_day(last)?);
        days.push(day);
        while day != last {
            day = day.next();
            days.push(day);
        }
    }
    Ok(days)
}

fn read_day(text: &str) -> Result<Weekday, NoWindow> {
    let known = DAYS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
    known
        .map(|(_, day)| *day)
        .ok_or_else(|| NoWindow::Day(text.to_owned()))
}

/// Midnight may be written as the end of a day.
fn read_time(text: &str) -> Result<Time, NoWindow> {
    if text == "24:00" {
        return Ok(Time::midnight());
    }
    Time::strptime("%H:%M", text).map_err(|_| NoWindow::Time(text.to_owned()))
}
