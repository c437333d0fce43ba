//! The space of a sweep: axes with their values, what ties them together, what points are judged by, and how to search.
//!
//! A space is read from a TOML file; docs/exploration.md explains it. Every point has a number: axes as in the file, the last one
//! varying fastest, combinations that a constraint between axes forbids left out.

mod assignment;
mod axis;
mod genes;
mod goal;
mod mistake;
mod parse;
#[cfg(test)]
mod tests;
mod value;

use compiler::options::{Observer, Options};
use isa::Hardware;

pub use assignment::{Assignment, WIDTHS};
pub(crate) use assignment::{CYCLES, SIZE};
pub use axis::{Axis, Settings};
use genes::Gene;
pub use goal::{ALWAYS, Constraint, Direction, Objective, Part, part, report_keys};
pub use mistake::Mistake;
pub use value::{Comparison, Value};

/// A relation between an axis and a value or another axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Index of the axis on the left.
    pub axis: usize,
    /// How it compares.
    pub comparison: Comparison,
    /// What it compares with.
    pub right: Operand,
}

/// The right side of a [`Rule`].
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// Index of an axis.
    Axis(usize),
    /// A value.
    Value(Value),
}

impl Rule {
    /// The axis on the right, if it is one.
    fn other(&self) -> Option<usize> {
        match self.right {
            Operand::Axis(axis) => Some(axis),
            Operand::Value(_) => None,
        }
    }

    fn holds<'v>(&'v self, value: impl Fn(usize) -> &'v Value) -> bool {
        let right = match &self.right {
            Operand::Axis(axis) => value(*axis),
            Operand::Value(value) => value,
        };
        self.comparison.holds(value(self.axis), right)
    }
}

/// How points are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// All of them.
    Grid,
    /// Some, drawn without bias.
    Random,
    /// Generation after generation, from the best so far.
    Nsga2,
    /// Widths chosen layer by layer along the whole curve of cost, and uniform ones beside.
    Mixed,
}

impl Strategy {
    /// All strategies.
    pub const ALL: [Strategy; 4] =
        [Strategy::Grid, Strategy::Random, Strategy::Nsga2, Strategy::Mixed];

    /// Name in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Strategy::Grid => "grid",
            Strategy::Random => "random",
            Strategy::Nsga2 => "nsga2",
            Strategy::Mixed => "mixed",
        }
    }

    /// The strategy with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Strategy> {
        Strategy::ALL.into_iter().find(|strategy| strategy.name() == name)
    }
}

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// How points are chosen.
    pub strategy: Strategy,
    /// Points to evaluate: at most so many for `mixed`; all for a grid.
    pub budget: u64,
    /// Seed of all that is drawn.
    pub seed: u64,
}

impl Default for Search {
    fn default() -> Self {
        Search { strategy: Strategy::Grid, budget: 200, seed: 0 }
    }
}

/// What a sweep explores.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    /// What differs between points.
    pub axes: Vec<Axis>,
    /// What ties axes together.
    pub rules: Vec<Rule>,
    /// What points are judged by; at least one.
    pub objectives: Vec<Objective>,
    /// What points must keep to.
    pub constraints: Vec<Constraint>,
    /// How to search.
    pub search: Search,
    /// What the axis [`WIDTHS`] chooses from, if there is one.
    pub assignments: Vec<Assignment>,
    genes: Vec<Gene>,
}

impl Space {
    /// Reads a space file.
    ///
    /// # Errors
    /// All mistakes in it, in the order of their lines.
    pub fn parse(text: &str) -> Result<Space, Vec<Mistake>> {
        parse::parse(text)
    }

    /// Number of points.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.genes.iter().map(|gene| gene.alleles.len() as u64).product()
    }

    /// Number of alleles of each gene: axes that constraints tie together are one gene.
    #[must_use]
    pub fn alleles(&self) -> Vec<usize> {
        self.genes.iter().map(|gene| gene.alleles.len()).collect()
    }

    /// Number of the point of these alleles, one of each gene.
    #[must_use]
    pub fn number(&self, alleles: &[usize]) -> u64 {
        let digits = self.genes.iter().zip(alleles);
        digits.fold(0, |number, (gene, &allele)| number * gene.alleles.len() as u64 + allele as u64)
    }

    /// Alleles of a point below [`count`](Self::count).
    #[must_use]
    pub fn genome(&self, mut number: u64) -> Vec<usize> {
        let mut alleles = vec![0; self.genes.len()];
        for (allele, gene) in alleles.iter_mut().zip(&self.genes).rev() {
            let base = gene.alleles.len() as u64;
            *allele = (number % base) as usize;
            number /= base;
        }
        alleles
    }

    /// Values of a point, one of each axis.
    #[must_use]
    pub fn values(&self, number: u64) -> Vec<&Value> {
        let mut chosen = vec![0; self.axes.len()];
        for (gene, allele) in self.genes.iter().zip(self.genome(number)) {
            for (&axis, &value) in gene.axes.iter().zip(&gene.alleles[allele]) {
                chosen[axis] = value;
            }
        }
        self.axes.iter().zip(chosen).map(|(axis, value)| &axis.values[value]).collect()
    }

    /// How to quantize, and the machine, at a point; all that no axis names is that of `options` and `hardware`.
    ///
    /// # Errors
    /// What makes it impossible: a machine whose parameters do not go together.
    pub fn settings(
        &self,
        number: u64,
        options: &Options,
        hardware: &Hardware,
    ) -> Result<Settings, String> {
        let mut settings = Settings { options: options.clone(), hardware: hardware.clone() };
        let values = self.values(number);
        // A preset first: all other parameters change it.
        let presets = self.axes.iter().zip(&values).filter(|(axis, _)| axis.is_preset());
        let others = self.axes.iter().zip(&values).filter(|(axis, _)| !axis.is_preset());
        for (axis, value) in presets.chain(others) {
            match self.assignment(value).filter(|_| axis.name == WIDTHS) {
                Some(assignment) => assignment.apply(&mut settings.options),
                None => Axis::set(&axis.name, value, &mut settings)?,
            }
        }
        settings.hardware.validate().map_err(|e| e.to_string())?;
        Ok(settings)
    }

    /// Options of `qcc` that, beside those of the sweep, make the program of a point.
    #[must_use]
    pub fn flags(&self, number: u64, options: &Options) -> String {
        let mut observer = options.observer.name().to_owned();
        let values = self.values(number);
        for (axis, value) in self.axes.iter().zip(&values) {
            if axis.name == "observer" {
                observer = value.to_string();
            }
        }
        let used =
            |axis: &Axis| axis.name != "percentile" || observer == Observer::Percentile.name();
        let pairs = self.axes.iter().zip(values).filter(|(axis, _)| used(axis));
        let flags = |(axis, value): (&Axis, &Value)| match self.assignment(value) {
            Some(assignment) if axis.name == WIDTHS => Some(assignment.flags()),
            _ => axis.flags(value),
        };
        pairs.filter_map(flags).collect::<Vec<_>>().join(" ")
    }

    /// Keys of the report that each row holds, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = ALWAYS.to_vec();
        let named = self.objectives.iter().map(|o| o.key.as_str());
        for key in named.chain(self.constraints.iter().map(|c| c.key.as_str())) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }
}
