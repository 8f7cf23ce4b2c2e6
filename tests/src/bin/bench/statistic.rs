//! What is said of a number that was measured several times.

use serde::Serialize;

/// The median of several measurements, and where the middle half of them lies.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) lower_quartile: f64,
    pub(crate) median: f64,
    pub(crate) upper_quartile: f64,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |quarters: usize| {
            let index = (values.len().saturating_sub(1) * quarters + 2) / 4;
            values.get(index).copied().unwrap_or(f64::NAN)
        };
        Self {
            lower_quartile: at(1),
            median: at(2),
            upper_quartile: at(3),
        }
    }
}

/// The ratios of what was measured side by side.
pub(crate) fn ratios<'a>(costs: &'a [f64], floors: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    costs.iter().zip(floors).map(|(cost, floor)| cost / floor)
}
