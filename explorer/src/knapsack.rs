//! One choice for each of many things, so that all fit a budget and do least harm: the multiple-choice knapsack problem, by
//! dynamic programming over the budget (Kellerer, Pferschy and Pisinger, 2004, "Knapsack Problems", section 11.5).

/// Steps into which the budget is divided. Costs are rounded up to whole ones, so what is chosen always fits.
const STEPS: u64 = 1 << 14;

/// What choosing something costs, and how much harm it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Share of the budget.
    pub cost: u64,
    /// Harm, which adds up; not NaN.
    pub harm: f64,
}

/// For each thing the index of one of its choices, such that costs sum to `budget` at most and harm to as little as there is
/// (up to the rounding of costs); `None` if even the cheapest choices do not fit, or a thing has no choice. Of a thing's choices
/// the first 65,536 are looked at.
#[must_use]
pub fn choose(things: &[Vec<Choice>], budget: u64) -> Option<Vec<usize>> {
    let cheapest = |choices: &Vec<Choice>| choices.iter().map(|choice| choice.cost).min();
    let least: Vec<u64> = things.iter().map(cheapest).collect::<Option<_>>()?;
    let sum = least.iter().try_fold(0u64, |sum, &cost| sum.checked_add(cost))?;
    let rest = budget.checked_sub(sum)?;
    let step = rest.div_ceil(STEPS).max(1);
    let room = usize::try_from(rest / step).unwrap_or(usize::MAX);
    // Least harm of the things so far at most so many steps above their least cost, and the last one's choice.
    let mut harm = vec![0.0; room + 1];
    let mut taken: Vec<Vec<Option<u16>>> = Vec::with_capacity(things.len());
    let mut steps_of: Vec<Vec<usize>> = Vec::with_capacity(things.len());
    for (choices, least) in things.iter().zip(&least) {
        let steps: Vec<usize> = choices
            .iter()
            .map(|c| usize::try_from((c.cost - least).div_ceil(step)).unwrap_or(usize::MAX))
            .collect();
        let mut next = vec![f64::INFINITY; room + 1];
        let mut choice: Vec<Option<u16>> = vec![None; room + 1];
        for ((c, &steps), index) in choices.iter().zip(&steps).zip(0..=u16::MAX) {
            for at in steps..=room {
                let total = harm[at - steps] + c.harm;
                if choice[at].is_none() || total < next[at] {
                    (next[at], choice[at]) = (total, Some(index));
                }
            }
        }
        harm = next;
        taken.push(choice);
        steps_of.push(steps);
    }
    let mut left = room;
    let mut chosen = vec![0; things.len()];
    for thing in (0..things.len()).rev() {
        let index = usize::from(taken[thing][left]?);
        chosen[thing] = index;
        left -= steps_of[thing][index];
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn totals(things: &[Vec<Choice>], chosen: &[usize]) -> (u64, f64) {
        let picked = || things.iter().zip(chosen).map(|(choices, &i)| choices[i]);
        (picked().map(|c| c.cost).sum(), picked().map(|c| c.harm).sum())
    }

    fn best_by_trying_all(things: &[Vec<Choice>], budget: u64) -> Option<f64> {
        let mut all = vec![(0u64, 0f64)];
        for choices in things {
            let with = |&(cost, harm): &(u64, f64)| {
                choices.iter().map(move |c| (cost + c.cost, harm + c.harm)).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(with).collect();
        }
        all.into_iter().filter(|(cost, _)| *cost <= budget).map(|(_, harm)| harm).reduce(f64::min)
    }

    fn things() -> impl Strategy<Value = Vec<Vec<Choice>>> {
        let choice =
            (0u64..60, 0u32..100).prop_map(|(cost, harm)| Choice { cost, harm: harm.into() });
        prop::collection::vec(prop::collection::vec(choice, 1..4), 0..6)
    }

    proptest! {
        #[test]
        fn nothing_better_fits(things in things(), budget in 0u64..200) {
            let best = best_by_trying_all(&things, budget);
            let found = choose(&things, budget).map(|chosen| totals(&things, &chosen));
            prop_assert_eq!(found.map(|(_, harm)| harm), best);
            prop_assert!(found.is_none_or(|(cost, _)| cost <= budget));
        }

        #[test]
        fn large_costs_are_rounded_up_and_still_fit(things in things(), budget in 0u64..200) {
            let factor = 1_000_003;
            let large: Vec<Vec<Choice>> = things
                .iter()
                .map(|t| t.iter().map(|c| Choice { cost: c.cost * factor, ..*c }).collect())
                .collect();
            if let Some(chosen) = choose(&large, budget * factor) {
                let (cost, harm) = totals(&large, &chosen);
                prop_assert!(cost <= budget * factor);
                // A budget lower by the rounding has no better choice.
                let lower = budget.saturating_sub(1);
                prop_assert!(best_by_trying_all(&things, lower).is_none_or(|best| harm <= best));
            } else {
                prop_assert_eq!(best_by_trying_all(&things, budget), None);
            }
        }
    }

    #[test]
    fn a_thing_without_a_choice_has_no_answer() {
        assert_eq!(choose(&[vec![]], 9), None);
        assert_eq!(choose(&[], 0), Some(vec![]));
        let dear = Choice { cost: u64::MAX, harm: 0.0 };
        assert_eq!(choose(&[vec![dear], vec![dear]], u64::MAX), None);
    }
}
