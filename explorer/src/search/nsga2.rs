//! NSGA-II: K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II",
//! IEEE Transactions on Evolutionary Computation 6(2), 2002.
//!
//! Genes are the axes; those that constraints tie together are one gene, so every child is a point. Points that break constraints
//! lose against those that keep them, and among themselves by how much they break them (section VI of the paper).
//! No point is evaluated twice: a child that is known already mutates until it is not.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::Evaluate;
use crate::pareto::{crowding, ranks};
use crate::space::Space;
use crate::sweep::Row;

/// Generations that the budget is cut into; populations are as large as that leaves them, within bounds.
const GENERATIONS: u64 = 8;
const SMALLEST_POPULATION: u64 = 8;
const LARGEST_POPULATION: u64 = 100;

/// Mutations of a child that is known already, before another is drawn at random.
const ATTEMPTS: usize = 16;

/// A member of the population.
struct Member {
    row: Row,
    genome: Vec<usize>,
    rank: usize,
    crowding: f64,
}

/// Searches until the budget of the space is spent or every point is known.
///
/// # Errors
/// The first of `evaluate`.
pub fn nsga2<E>(space: &Space, evaluate: &mut Evaluate<'_, E>) -> Result<(), E> {
    let budget = space.search.budget.min(space.count());
    let size = (budget / GENERATIONS).clamp(SMALLEST_POPULATION, LARGEST_POPULATION);
    let mut breeder = Breeder {
        space,
        sizes: space.alleles(),
        known: BTreeSet::new(),
        rng: Pcg64Mcg::seed_from_u64(space.search.seed),
    };
    let mut population: Vec<Member> = Vec::new();
    while (breeder.known.len() as u64) < budget {
        let left = budget - breeder.known.len() as u64;
        let children: Vec<u64> = (0..size.min(left)).map(|_| breeder.child(&population)).collect();
        let rows = evaluate(&children)?;
        population.extend(rows.into_iter().map(|row| Member {
            genome: space.genome(row.point),
            row,
            rank: 0,
            crowding: 0.0,
        }));
        population = survivors(population, size as usize);
    }
    Ok(())
}

/// The best members, ranked.
fn survivors(mut members: Vec<Member>, size: usize) -> Vec<Member> {
    let feasible: Vec<usize> =
        (0..members.len()).filter(|&i| members[i].row.is_feasible()).collect();
    let costs: Vec<Vec<f64>> =
        feasible.iter().map(|&i| members[i].row.costs.clone().unwrap_or_default()).collect();
    let ranked = ranks(&costs);
    let behind = ranked.iter().max().map_or(0, |last| last + 1);
    members.iter_mut().for_each(|member| (member.rank, member.crowding) = (behind, 0.0));
    for rank in 0..behind {
        let of_rank: Vec<usize> = (0..ranked.len()).filter(|&i| ranked[i] == rank).collect();
        let costs: Vec<Vec<f64>> = of_rank.iter().map(|&i| costs[i].clone()).collect();
        for (i, distance) in of_rank.into_iter().zip(crowding(&costs)) {
            let member = &mut members[feasible[i]];
            (member.rank, member.crowding) = (rank, distance);
        }
    }
    members.sort_by(|a, b| better(a, b).then(a.row.point.cmp(&b.row.point)));
    members.truncate(size);
    members
}

/// Before another in the population: lower rank, then less violation, then less crowded.
fn better(a: &Member, b: &Member) -> std::cmp::Ordering {
    let rank = a.rank.cmp(&b.rank);
    let violation = a.row.violation.total_cmp(&b.row.violation);
    rank.then(violation).then(b.crowding.total_cmp(&a.crowding))
}

/// Makes points that are not known yet.
struct Breeder<'s> {
    space: &'s Space,
    /// Alleles of each gene.
    sizes: Vec<usize>,
    known: BTreeSet<u64>,
    rng: Pcg64Mcg,
}

impl Breeder<'_> {
    /// A new point: of two parents, or drawn at random where there are none.
    fn child(&mut self, population: &[Member]) -> u64 {
        if population.is_empty() {
            return self.unknown();
        }
        let (a, b) = (self.parent(population), self.parent(population));
        let genes = a.genome.iter().zip(&b.genome);
        let mut genome: Vec<usize> =
            genes.map(|(&a, &b)| if self.rng.random_bool(0.5) { a } else { b }).collect();
        for _ in 0..ATTEMPTS {
            self.mutate(&mut genome);
            let point = self.space.number(&genome);
            if self.known.insert(point) {
                return point;
            }
        }
        self.unknown()
    }

    /// The better of two.
    fn parent<'m>(&mut self, population: &'m [Member]) -> &'m Member {
        let [a, b] = [(); 2].map(|()| &population[below(&mut self.rng, population.len())]);
        if better(b, a).is_lt() { b } else { a }
    }

    /// Changes one gene on average: to a neighbour or to any other allele, equally often.
    fn mutate(&mut self, genome: &mut [usize]) {
        let chance = 1.0 / genome.len().max(1) as f64;
        for (gene, &size) in genome.iter_mut().zip(&self.sizes) {
            if size < 2 || !self.rng.random_bool(chance) {
                continue;
            }
            let old = *gene;
            *gene = if self.rng.random_bool(0.5) {
                // From the ends there is one way to go.
                let up = old == 0 || (old + 1 < size && self.rng.random_bool(0.5));
                if up { old + 1 } else { old - 1 }
            } else {
                (old + 1 + below(&mut self.rng, size - 1)) % size
            };
        }
    }

    /// Any point that is not known; there is one, since the budget is at most the number of points.
    fn unknown(&mut self) -> u64 {
        let count = self.space.count();
        let mut point = self.rng.random_range(0..count);
        while !self.known.insert(point) {
            point = (point + 1) % count;
        }
        point
    }
}

/// Any index below `bound`, the same on machines of any word size.
fn below(rng: &mut Pcg64Mcg, bound: usize) -> usize {
    rng.random_range(0..bound as u64) as usize
}
