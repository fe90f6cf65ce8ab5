//! Many measurements as one figure. Pure.

/// The one in the middle; no number when there are none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => f64::NAN,
        values if values.len() % 2 == 1 => values[values.len() / 2],
        values => f64::midpoint(values[values.len() / 2 - 1], values[values.len() / 2]),
    }
}

/// The longest; no number when there are none.
pub(crate) fn longest(values: Vec<f64>) -> f64 {
    values.into_iter().fold(f64::NAN, f64::max)
}

/// The one that so many of a hundred do not exceed; no number when there are none.
pub(crate) fn percentile(mut values: Vec<f64>, of_hundred: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * of_hundred).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "counts that a double holds exactly")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "far fewer bytes than would lose one")]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!((longest(vec![1.0, 4.0, 2.0]) - 4.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let hundred: Vec<_> = (1..=100).map(number).collect();
        assert!((percentile(hundred.clone(), 95) - 95.0).abs() < f64::EPSILON);
        assert!((percentile(hundred, 100) - 100.0).abs() < f64::EPSILON);
        assert!((percentile(vec![7.0], 95) - 7.0).abs() < f64::EPSILON);
        assert!(percentile(Vec::new(), 95).is_nan());
    }
}
