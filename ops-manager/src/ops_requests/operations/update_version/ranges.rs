//! Ranges of versions, as the catalog lists them in `updateConstraints`. Pure.
//!
//! The notation is that of the Go library Masterminds/semver, which the catalogs of `KubeDB` are written for:
//! comparisons joined by commas or blanks must all hold, alternatives are joined by `||`. A version here is up to three numbers;
//! what follows a dash is left aside.

/// Up to three numbers; how many were given matters to `~` and to a bare version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    numbers: [u64; 3],
    given: usize,
}

/// Whether a version is in a range. A range that cannot be parsed contains no version.
pub(crate) fn contains(range: &str, version: &str) -> bool {
    let Some(version) = Version::parse(version) else {
        return false;
    };
    range.split("||").any(|part| {
        comparisons(part).is_some_and(|all| {
            all.iter()
                .all(|(operator, bound)| holds(operator, *bound, version))
        })
    })
}

/// The comparisons of one alternative; `None` when there are none or one cannot be read.
fn comparisons(part: &str) -> Option<Vec<(String, Version)>> {
    let mut all = Vec::new();
    let mut operator = String::new();
    for word in part.split([' ', ',']).filter(|word| !word.is_empty()) {
        // `>= 4.5` is as `>=4.5`.
        let start = word.find(|c: char| !"<>=!~^".contains(c)).unwrap_or(word.len());
        let (sign, number) = word.split_at(start);
        operator.push_str(sign);
        if number.is_empty() {
            continue;
        }
        all.push((std::mem::take(&mut operator), Version::parse(number)?));
    }
    (operator.is_empty() && !all.is_empty()).then_some(all)
}

fn holds(operator: &str, bound: Version, version: Version) -> bool {
    let (low, this) = (bound.numbers, version.numbers);
    // Omitted parts match any number.
    let same = |digits: usize| low.iter().take(digits).eq(this.iter().take(digits));
    match operator {
        "" | "=" | "==" => same(bound.given),
        "!=" => !same(bound.given),
        ">" => this > low && !same(bound.given),
        ">=" | "=>" => this >= low,
        "<" => this < low,
        "<=" | "=<" => this < low || same(bound.given),
        "~" | "~>" => this >= low && same(bound.given.min(2)),
        "^" => {
            this >= low
                && same(
                    low.iter()
                        .position(|number| *number != 0)
                        .map_or(bound.given, |at| at.saturating_add(1)),
                )
        }
        _ => false,
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        let text = text.split(['-', '+']).next().unwrap_or_default();
        let mut version = Self {
            numbers: [0; 3],
            given: 0,
        };
        for part in text.split('.') {
            if matches!(part, "x" | "X" | "*") {
                break;
            }
            *version.numbers.get_mut(version.given)? = part.parse().ok()?;
            version.given = version.given.saturating_add(1);
        }
        Some(version)
    }
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn ranges_hold_what_they_say() {
        let cases = [
            ("4.5.3", "4.5.3", true),
            ("4.5.3", "4.5.4", false),
            ("4.5", "4.5.9", true),
            ("4.5.x", "4.6.0", false),
            ("*", "4.6.0", true),
            (">= 4.4.5, <= 4.5.0", "4.5.0", true),
            (">= 4.4.5, <= 4.5.0", "4.5.1", false),
            (">=4.4.5 <4.6", "4.5.9", true),
            (">=4.4.5 <4.6", "4.6.0", false),
            ("> 4.5.3", "4.5.3", false),
            ("> 4.5", "4.5.3", false),
            ("<= 4.5", "4.5.3", true),
            ("!= 4.5.3", "4.5.3", false),
            ("~4.5.1", "4.5.9", true),
            ("~4.5.1", "4.6.0", false),
            ("^4.3", "4.9.1", true),
            ("^4.3", "5.0.0", false),
            ("4.3.5 || >= 4.6", "4.6.1", true),
            ("4.3.5 || >= 4.6", "4.5.0", false),
            ("v4.5.3", "4.5.3-debian", true),
            ("", "4.5.3", false),
            (">=", "4.5.3", false),
            ("new ones", "4.5.3", false),
            ("4.5.3", "latest", false),
        ];
        for (range, version, expected) in cases {
            assert_eq!(contains(range, version), expected, "{version} in {range:?}");
        }
    }
}
