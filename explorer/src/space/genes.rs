//! Axes that rules tie together, as one gene with every combination that the rules allow.
//!
//! So every combination of genes is a point, points are numbered without gaps, and no search ever proposes one that a
//! rule forbids.

use super::{Axis, Rule};

/// Most combinations of axes that rules tie together.
const MOST_ALLELES: usize = 1 << 20;

/// Some axes and the combinations of their values that are allowed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gene {
    /// Indexes of axes, ascending.
    pub(super) axes: Vec<usize>,
    /// Indexes of values, one of each axis; the last axis varies fastest.
    pub(super) alleles: Vec<Vec<usize>>,
}

/// The genes of `axes`, in the order of their first axes.
///
/// # Errors
/// Indexes of axes that no combination satisfies, or that have too many combinations, with a sentence.
pub(super) fn genes(axes: &[Axis], rules: &[Rule]) -> Result<Vec<Gene>, (Vec<usize>, String)> {
    let mut group: Vec<usize> = (0..axes.len()).collect();
    for rule in rules {
        if let Some(right) = rule.other() {
            let (a, b) = (group[rule.axis], group[right]);
            let (low, high) = (a.min(b), a.max(b));
            group.iter_mut().filter(|g| **g == high).for_each(|g| *g = low);
        }
    }
    let mut genes = Vec::new();
    for first in 0..axes.len() {
        let tied: Vec<usize> = (0..axes.len()).filter(|axis| group[*axis] == first).collect();
        if !tied.is_empty() {
            genes.push(gene(axes, rules, tied)?);
        }
    }
    Ok(genes)
}

fn gene(axes: &[Axis], rules: &[Rule], tied: Vec<usize>) -> Result<Gene, (Vec<usize>, String)> {
    let mut alleles: Vec<Vec<usize>> = vec![Vec::new()];
    for (position, &axis) in tied.iter().enumerate() {
        // Rules between axes chosen so far prune at once.
        let known = |rule: &&Rule| {
            rule.axis == axis && rule.other().is_none_or(|o| tied[..=position].contains(&o))
                || rule.other() == Some(axis) && tied[..=position].contains(&rule.axis)
        };
        let rules: Vec<&Rule> = rules.iter().filter(known).collect();
        let longer = alleles.iter().flat_map(|chosen| {
            (0..axes[axis].values.len()).map(move |value| [&chosen[..], &[value]].concat())
        });
        let allowed = |allele: &Vec<usize>| {
            let value = |axis: usize| {
                let at = tied.iter().position(|&t| t == axis).unwrap_or_default();
                &axes[axis].values[allele[at]]
            };
            rules.iter().all(|rule| rule.holds(value))
        };
        let next: Vec<Vec<usize>> = longer.filter(allowed).take(MOST_ALLELES + 1).collect();
        if next.is_empty() {
            return Err((tied, "no combination of their values keeps to the constraints".into()));
        }
        if next.len() > MOST_ALLELES {
            let message = format!(
                "constraints tie them together, and more than {MOST_ALLELES} combinations remain"
            );
            return Err((tied, message));
        }
        alleles = next;
    }
    Ok(Gene { axes: tied, alleles })
}
