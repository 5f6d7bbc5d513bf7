//! The assignment problem: the cheapest one-to-one assignment of rows to columns.

/// For each of `rows` rows its column, so that no column is used twice and the sum of the costs is the smallest. There
/// must be at least as many columns as rows.
///
/// The Hungarian method in the form of Jonker and Volgenant (1987): rows are added one after the other, each by a
/// shortest augmenting path along costs `c_ij - u_i - v_j`, which the dual variables `u` and `v` keep at 0 or more. It
/// takes at most `rows^2 columns` steps.
pub(super) fn cheapest(rows: usize, columns: usize, cost: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    assert!(rows <= columns, "a column for each row");
    // The row of each column; the last column is that of the row which is being added.
    let mut row_of = vec![None; columns + 1];
    let (mut u, mut v) = (vec![0.0; rows], vec![0.0; columns + 1]);
    let mut before = vec![columns; columns];
    for row in 0..rows {
        row_of[columns] = Some(row);
        let mut distance = vec![f64::INFINITY; columns];
        let mut is_reached = vec![false; columns + 1];
        let mut at = columns;
        // Dijkstra's algorithm, until a column without a row is reached.
        while let Some(from) = row_of[at] {
            is_reached[at] = true;
            let (mut step, mut nearest) = (f64::INFINITY, columns);
            for column in (0..columns).filter(|&column| !is_reached[column]) {
                let reduced = cost(from, column) - u[from] - v[column];
                if reduced < distance[column] {
                    (distance[column], before[column]) = (reduced, at);
                }
                if distance[column] < step {
                    (step, nearest) = (distance[column], column);
                }
            }
            for column in 0..columns {
                match is_reached[column] {
                    true => {
                        u[row_of[column].expect("a column that was reached has a row")] += step;
                        v[column] -= step;
                    }
                    false => distance[column] -= step,
                }
            }
            u[row] += step;
            at = nearest;
        }
        while at != columns {
            row_of[at] = row_of[before[at]];
            at = before[at];
        }
    }
    let mut column_of = vec![0; rows];
    for (column, row) in row_of[..columns].iter().enumerate() {
        row.iter().for_each(|&row| column_of[row] = column);
    }
    column_of
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// The smallest sum of costs, of all assignments of the rows from `row` on.
    fn by_trying(costs: &[Vec<f64>], row: usize, is_used: &mut [bool]) -> f64 {
        if row == costs.len() {
            return 0.0;
        }
        let mut least = f64::INFINITY;
        for column in 0..is_used.len() {
            if !is_used[column] {
                is_used[column] = true;
                least = least.min(costs[row][column] + by_trying(costs, row + 1, is_used));
                is_used[column] = false;
            }
        }
        least
    }

    #[test]
    fn the_cheapest_of_all_assignments_is_found() {
        let mut generator = ChaCha8Rng::seed_from_u64(1);
        for (rows, columns) in [(1, 1), (2, 5), (5, 5), (6, 7), (4, 8), (0, 3)] {
            for levels in [3.0, 1e9] {
                // With three levels many assignments cost the same.
                let mut cost = || (generator.random::<f64>() * levels).floor() / levels - 0.3;
                let costs: Vec<Vec<f64>> = (0..rows).map(|_| (0..columns).map(|_| cost()).collect()).collect();
                let found = cheapest(rows, columns, |row, column| costs[row][column]);
                let mut used = found.clone();
                used.sort_unstable();
                used.dedup();
                assert_eq!(used.len(), rows, "no column is used twice");
                let sum: f64 = found.iter().zip(&costs).map(|(&column, costs)| costs[column]).sum();
                let least = by_trying(&costs, 0, &mut vec![false; columns]);
                assert!((sum - least).abs() < 1e-9, "{sum} for {rows} x {columns}, the least is {least}");
            }
        }
    }
}
