//! Figures as people and programs read them.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;

use super::statistics::{longest, median};
use crate::workspace::Workspace;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    #[serde(rename = "figure")]
    pub(crate) title: String,
    /// How much it was; nothing when it could not be measured here.
    pub(crate) value: Option<f64>,
    pub(crate) unit: &'static str,
    /// What it must not exceed, or be, where there is a goal.
    pub(crate) reach: Option<f64>,
    /// Whether it must be that, no less either.
    pub(crate) exact: bool,
    /// Whether it does not; nothing without a goal or a value.
    pub(crate) met: Option<bool>,
}

impl Figure {
    pub(crate) fn new(title: impl Into<String>, value: Option<f64>, unit: &'static str) -> Self {
        Self {
            title: title.into(),
            value: value.map(rounded),
            unit,
            reach: None,
            exact: false,
            met: None,
        }
    }

    /// The same with the most that it may be.
    pub(crate) fn at_most(self, reach: f64) -> Self {
        Self {
            reach: Some(reach),
            met: self.value.map(|value| value <= reach),
            ..self
        }
    }

    pub(crate) fn exactly(self, reach: f64) -> Self {
        Self {
            reach: Some(reach),
            exact: true,
            met: self.value.map(|value| (value - reach).abs() < f64::EPSILON),
            ..self
        }
    }
}

/// Median and longest of some times, each with the most that it may be.
pub(crate) fn times(title: &str, seconds: &[f64], goal: f64) -> [Figure; 2] {
    let median = (
        format!("{title}, median of {}", seconds.len()),
        median(seconds.to_vec()),
    );
    let longest = (format!("{title}, longest"), longest(seconds.to_vec()));
    [median, longest].map(|(title, value)| Figure::new(title, Some(value), "s").at_most(goal))
}

/// To thousandths: nothing here is more exact.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

pub(crate) fn rendered(figures: &[Figure]) -> String {
    let widths = figures.iter().map(|figure| figure.title.chars().count());
    let width = widths.max().unwrap_or_default();
    let mut text = format!(
        "{:<width$}  {:>10}  {:<8}  {:>8}  met\n",
        "figure", "value", "unit", "reach"
    );
    for figure in figures {
        let value = figure
            .value
            .map_or("not here".to_owned(), |value| value.to_string());
        let sign = if figure.exact { '=' } else { '≤' };
        let reach = figure
            .reach
            .map(|reach| format!("{sign} {reach}"))
            .unwrap_or_default();
        let met = match figure.met {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        let (title, unit) = (&figure.title, figure.unit);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{title:<width$}  {value:>10}  {unit:<8}  {reach:>8}  {met}");
    }
    text
}

pub(crate) fn keep(workspace: &Workspace, name: &str, figures: &[Figure]) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(workspace.results())?;
    let file = workspace.results().join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(figures)?;
    fs::write(&file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_up_to_its_value() {
        let figure = Figure::new("time", Some(5.9996), "s");
        assert_eq!(figure.clone().at_most(6.0).met, Some(true));
        assert_eq!(figure.clone().at_most(5.9).met, Some(false));
        assert_eq!(figure.met, None);
        assert_eq!(Figure::new("time", None, "s").at_most(1.0).met, None);
        let count = |value| Figure::new("count", Some(value), "").exactly(1.0).met;
        assert_eq!([0.0, 1.0, 2.0].map(count), [Some(false), Some(true), Some(false)]);
    }

    #[test]
    fn the_table_has_a_line_for_each() {
        let figures = [
            Figure::new("a", Some(1.0), "s").at_most(0.5),
            Figure::new("longer", None, "MiB"),
        ];
        let text = rendered(&figures);
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("NO") && text.contains("not here"), "{text}");
    }

    #[test]
    fn programs_read_the_same_names() {
        let value = serde_json::to_value(Figure::new("a", Some(1.0), "s").at_most(2.0)).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"figure": "a", "value": 1.0, "unit": "s", "reach": 2.0, "exact": false, "met": true})
        );
    }
}
