//! The known word closest to a mistyped one.

/// Longest word compared; the distance takes time in proportion to the product of the lengths.
const MAX_CHARS: usize = 48;

/// The candidate with the smallest edit distance to `word`, if that is at most a third of the word's length,
/// rounded up to allow two exchanged letters in a short word.
pub(super) fn closest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(MAX_CHARS + 1).collect();
    if word.len() > MAX_CHARS {
        return None;
    }
    let near = candidates.map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate));
    let (distance, candidate) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= word.len().div_ceil(3)).then_some(candidate)
}

/// Levenshtein distance: insertions, deletions and replacements of one character.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    // Distances from the part of `a` read so far to each prefix of `b`.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_typing_errors_and_nothing_else() {
        let known = ["Conv", "ConvTranspose", "Relu", "Gemm"];
        let find = |word| closest(word, known.into_iter());
        assert_eq!(find("conv"), Some("Conv"));
        assert_eq!(find("Convtranspos"), Some("ConvTranspose"));
        assert_eq!(find("Rleu"), Some("Relu"));
        assert_eq!(find("Relux"), Some("Relu"));
        assert_eq!(find("Banana"), None);
        assert_eq!(find(&"x".repeat(1 << 20)), None);
        assert_eq!(distance(&"kitten".chars().collect::<Vec<_>>(), "sitting"), 3);
    }
}
