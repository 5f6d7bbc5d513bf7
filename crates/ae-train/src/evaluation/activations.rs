//! When each unit of a sparse code is active.

/// The rows on which each unit of a code is active, with its values: all that is known of single units.
#[derive(Debug, Clone)]
pub struct Activations {
    /// For each unit the positions of the rows on which it is active, in ascending order, and its values there.
    units: Vec<Vec<(u32, f32)>>,
    inactive: f32,
    rows: usize,
}

impl Activations {
    /// Of a code of this width that no row has been added to. A unit is active if its magnitude is above `inactive`.
    pub fn new(width: usize, inactive: f32) -> Self {
        Self { units: vec![Vec::new(); width], inactive, rows: 0 }
    }

    /// Adds the codes of further rows, row by row.
    pub fn add(&mut self, codes: &[f32]) {
        for code in codes.chunks_exact(self.units.len()) {
            let row = self.rows as u32;
            // Most values of a sparse code are inactive: whole blocks are passed over at once.
            for (block, values) in code.chunks(BLOCK).enumerate() {
                if values.iter().fold(0.0f32, |most, value| most.max(value.abs())) > self.inactive {
                    let active = values.iter().enumerate().filter(|(_, value)| value.abs() > self.inactive);
                    active.for_each(|(unit, &value)| self.units[block * BLOCK + unit].push((row, value)));
                }
            }
            self.rows += 1;
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of units.
    pub fn width(&self) -> usize {
        self.units.len()
    }

    /// The positions of the rows on which a unit is active, in ascending order, and its values there.
    pub fn of(&self, unit: usize) -> &[(u32, f32)] {
        &self.units[unit]
    }

    /// Share of the rows on which a unit is active; 0 without rows.
    pub fn rate(&self, unit: usize) -> f64 {
        self.units[unit].len() as f64 / self.rows.max(1) as f64
    }

    /// The `count` rows on which a unit has the largest magnitude, the largest first: position and value.
    pub fn largest(&self, unit: usize, count: usize) -> Vec<(usize, f32)> {
        let mut active: Vec<(usize, f32)> =
            self.units[unit].iter().map(|&(row, value)| (row as usize, value)).collect();
        active.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
        active.truncate(count);
        active
    }
}

/// Values that are compared at once.
const BLOCK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_values_are_found_by_unit() {
        let mut activations = Activations::new(130, 0.0);
        let mut codes = vec![0.0; 3 * 130];
        (codes[0], codes[129], codes[130 + 129], codes[2 * 130 + 129]) = (1.0, 2.0, -4.0, 3.0);
        activations.add(&codes[..260]);
        activations.add(&codes[260..]);
        assert_eq!((activations.rows(), activations.of(0), activations.of(5)), (3, &[(0, 1.0)][..], &[][..]));
        assert_eq!(activations.largest(129, 2), [(1, -4.0), (2, 3.0)]);
        assert_eq!(activations.rate(129), 1.0);
    }
}
