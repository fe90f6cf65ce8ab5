//! Kubernetes quantities by value: `1000m` is `1`, `1Gi` is `1073741824`. Pure.

/// Returns whether two quantities have the same value. Text that is no quantity equals only itself.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    one == other
        || match (nanos(one), nanos(other)) {
            (Some(one), Some(other)) => one == other,
            _ => false,
        }
}

/// Returns a quantity in billionths, or `None` when the text is no quantity or does not fit.
fn nanos(text: &str) -> Option<i128> {
    let digits = text
        .find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (mantissa, fraction) = decimal(number)?;
    let (multiplier, exponent) = scale(suffix)?;
    // mantissa · 10^-fraction · multiplier · 10^exponent, in billionths
    let power = exponent.checked_add(9)?.checked_sub(fraction)?;
    let value = mantissa.checked_mul(multiplier)?;
    let tens = 10_i128.checked_pow(power.unsigned_abs())?;
    if power >= 0 {
        value.checked_mul(tens)
    } else {
        // The API server rounds what is smaller than a billionth up; whole values compare exactly.
        let remains = value.checked_rem_euclid(tens)? != 0;
        value.checked_div_euclid(tens)?.checked_add(i128::from(remains))
    }
}

/// Splits `12.50` into 1250 and 2 decimal places.
fn decimal(number: &str) -> Option<(i128, i32)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.trim_start_matches(['+', '-']).is_empty() && fraction.is_empty() {
        return None;
    }
    let places = i32::try_from(fraction.len()).ok()?;
    format!("{whole}{fraction}")
        .parse()
        .ok()
        .map(|mantissa| (mantissa, places))
}

/// Returns the multiplier and the power of ten of a suffix.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        _ => (1, suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::same;

    #[test]
    fn equal_values_are_the_same() {
        for (one, other) in [
            ("1", "1000m"),
            ("0.5", "500m"),
            (".5", "0.50"),
            ("1Gi", "1073741824"),
            ("1024Mi", "1Gi"),
            ("1e3", "1k"),
            ("1E3", "1000"),
            ("2E", "2000000000000000000"),
            ("0", "0m"),
            ("-1", "-1000m"),
            ("100u", "0.1m"),
            ("1.5Gi", "1536Mi"),
        ] {
            assert!(same(one, other), "{one} = {other}");
        }
    }

    #[test]
    fn different_values_and_nonsense_are_not() {
        for (one, other) in [
            ("1", "1001m"),
            ("1G", "1Gi"),
            ("1M", "1m"),
            ("", "0"),
            ("x", "y"),
            ("1x", "1"),
            ("1", "1e99999999999"),
            ("--1", "1"),
            (".", "0"),
        ] {
            assert!(!same(one, other), "{one} ≠ {other}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_is_symmetric(one in "[-+]?[0-9.]{0,40}[a-zA-Z]{0,4}[0-9]{0,6}", other in "\\PC{0,12}") {
            prop_assert!(same(&one, &one));
            prop_assert_eq!(same(&one, &other), same(&other, &one));
        }

        #[test]
        fn thousandths_agree(value in 0_u32..1_000_000) {
            let whole = value.to_string();
            let milli = format!("{}m", u64::from(value) * 1000);
            prop_assert!(same(&whole, &milli));
        }
    }
}
