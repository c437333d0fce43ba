//! Suggestions for misspelt names.

/// Names longer than this get no suggestion: the distance costs time in proportion to the length.
const LONGEST: usize = 40;

/// Up to three of `known` that are a few edits away from `name` or contain it, nearest first.
pub fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if name.is_empty() || name.len() > LONGEST {
        return Vec::new();
    }
    let distance = |known: &str| if known.contains(name) { 0 } else { edit_distance(name, known) };
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .map(|known| (distance(known), known))
        .filter(|&(distance, _)| distance <= 1 + name.len() / 4)
        .collect();
    found.sort_by_key(|&(distance, _)| distance);
    found.into_iter().take(3).map(|(_, known)| known).collect()
}

/// Fewest insertions, deletions, replacements and swaps of neighbors that make `a` into `b`, in bytes (the optimal string
/// alignment distance).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // Row `i` holds the distances of the first `i` bytes of `a` to every prefix of `b`.
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut distance = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                distance = distance.min(rows[i - 2][j - 2] + 1);
            }
            row.push(distance);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_edits() {
        for (a, b, distance) in
            [("", "ab", 2), ("dts", "dst", 1), ("kitten", "sitting", 3), ("abc", "ca", 3)]
        {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }

    #[test]
    fn nearest_names_come_first() {
        assert_eq!(similar("dts", ["page", "dst", "dsts"]), ["dst", "dsts"]);
        assert_eq!(similar("conv", ["mxu.conv", "vpu.move"]), ["mxu.conv"]);
        assert!(similar("", ["a"]).is_empty());
        assert!(similar("xyzw", ["page"]).is_empty());
    }
}
