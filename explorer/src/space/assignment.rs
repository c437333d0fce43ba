//! Widths of all layers as one choice: what points of the strategy `mixed` have in place of the axes of widths.

use std::collections::BTreeMap;

use compiler::options::Options;
use isa::Hardware;
use serde::{Deserialize, Serialize};

use super::axis::{ACT_BITS_AXIS, LAYERS, WEIGHT_BITS_AXIS, quoted};
use super::genes::genes;
use super::{Axis, Operand, Part, Rule, Settings, Space, Value, part};

/// The axis of assignments, by their names.
pub const WIDTHS: &str = "widths";

/// Axes that assignments replace.
const REPLACED: [&str; 2] = [WEIGHT_BITS_AXIS, ACT_BITS_AXIS];

/// Objectives that widths are weighed against.
pub(crate) const SIZE: &str = "memory.weights_bytes";
pub(crate) const CYCLES: &str = "cycles.total";

/// Bits of every layer's weights and of every value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// What points with it are called.
    pub name: String,
    /// For people: bits per weight of each layer in the order of the graph, and how many values have 16 bits.
    pub layers: String,
    /// As the options of `qcc` with these names.
    pub weight_bits: u8,
    /// Whether delicate layers have these bits too.
    pub weight_bits_everywhere: bool,
    /// Bits per activation.
    pub act_bits: u8,
    /// Bits per weight of layers that have others, by node.
    pub layer_bits: BTreeMap<String, u8>,
    /// Bits of values that have others, by node.
    pub layer_act_bits: BTreeMap<String, u8>,
}

impl Assignment {
    /// The widths that options have.
    pub(crate) fn of(options: &Options, name: String, layers: String) -> Assignment {
        Assignment {
            name,
            layers,
            weight_bits: options.weight_bits,
            weight_bits_everywhere: options.weight_bits_everywhere,
            act_bits: options.act_bits,
            layer_bits: options.layer_bits.clone(),
            layer_act_bits: options.layer_act_bits.clone(),
        }
    }

    /// Whether all are widths that there are: a file may say anything.
    fn check(&self) -> Result<(), String> {
        let mut scratch = Settings { options: Options::default(), hardware: Hardware::default() };
        let mut set = |axis: &str, bits: u8| {
            let found = Axis::set(axis, &Value::Integer(bits.into()), &mut scratch);
            found.map_err(|problem| format!("`{axis}` = {bits}: {problem}"))
        };
        set(WEIGHT_BITS_AXIS, self.weight_bits)?;
        set(ACT_BITS_AXIS, self.act_bits)?;
        for (table, of) in LAYERS.iter().zip([&self.layer_bits, &self.layer_act_bits]) {
            of.iter().try_for_each(|(node, bits)| set(&format!("{table}.{node}"), *bits))?;
        }
        Ok(())
    }

    /// Gives options these widths.
    pub(super) fn apply(&self, options: &mut Options) {
        let Assignment { weight_bits, weight_bits_everywhere, act_bits, .. } = *self;
        options.weight_bits = weight_bits;
        options.weight_bits_everywhere = weight_bits_everywhere;
        options.act_bits = act_bits;
        options.layer_bits.extend(self.layer_bits.clone());
        options.layer_act_bits.extend(self.layer_act_bits.clone());
    }

    /// The options of `qcc` that do the same.
    pub(super) fn flags(&self) -> String {
        let mut flags = vec![format!("--weight-bits {}", self.weight_bits)];
        if self.weight_bits_everywhere && self.weight_bits < 8 {
            flags.push("--weight-bits-everywhere".into());
        }
        flags.push(format!("--act-bits {}", self.act_bits));
        for (option, of) in
            [("--layer-bits", &self.layer_bits), ("--layer-act-bits", &self.layer_act_bits)]
        {
            let one = |(node, bits): (&String, &u8)| {
                format!("{option} {}", quoted(&format!("{node}={bits}")))
            };
            flags.extend(of.iter().map(one));
        }
        flags.join(" ")
    }
}

impl Space {
    /// The space whose widths are these assignments instead of every combination of `weight_bits` and `act_bits`. They are its first axis,
    /// so points of one assignment stand together.
    ///
    /// # Errors
    /// With a sentence, when two have one name or there is none.
    pub fn with_assignments(&self, assignments: Vec<Assignment>) -> Result<Space, String> {
        let mut names: Vec<Value> = Vec::new();
        for assignment in &assignments {
            assignment.check()?;
            let name = Value::Word(assignment.name.clone());
            if names.contains(&name) {
                return Err(format!("two assignments of widths are called {name}"));
            }
            names.push(name);
        }
        if names.is_empty() {
            return Err("no assignment of widths".into());
        }
        let kept = |axis: &&Axis| !REPLACED.contains(&axis.name.as_str());
        let widths = Axis { name: WIDTHS.into(), values: names };
        let axes: Vec<Axis> =
            [widths].into_iter().chain(self.axes.iter().filter(kept).cloned()).collect();
        let moved = |axis: usize| axes.iter().position(|other| other.name == self.axes[axis].name);
        let moved_rule = |rule: &Rule| {
            let right = match &rule.right {
                Operand::Axis(axis) => Operand::Axis(moved(*axis)?),
                Operand::Value(value) => Operand::Value(value.clone()),
            };
            Some(Rule { axis: moved(rule.axis)?, comparison: rule.comparison, right })
        };
        let rules: Vec<Rule> = self.rules.iter().filter_map(moved_rule).collect();
        let genes = genes(&axes, &rules).map_err(|(_, message)| message)?;
        Ok(Space {
            axes,
            rules,
            genes,
            assignments,
            objectives: self.objectives.clone(),
            constraints: self.constraints.clone(),
            search: self.search,
        })
    }

    /// The assignment that a value of the axis [`WIDTHS`] names.
    pub(super) fn assignment(&self, name: &Value) -> Option<&Assignment> {
        let called = |assignment: &&Assignment| match name {
            Value::Word(name) => *name == assignment.name,
            _ => false,
        };
        self.assignments.iter().find(called)
    }

    /// Widths that the space lists on one of the axes that assignments replace; those of `otherwise` if it has no such axis.
    fn listed(&self, axis: &str, otherwise: u8) -> Vec<u8> {
        let of = self.axes.iter().find(|other| other.name == axis);
        let width = |value: &Value| value.number().map(|bits| bits as u8);
        let mut widths: Vec<u8> =
            of.map_or(vec![otherwise], |axis| axis.values.iter().filter_map(width).collect());
        widths.sort_unstable();
        widths
    }

    /// Bits that weights may have, and those that activations may have, ascending; those of `options` where the space does not say.
    #[must_use]
    pub fn widths(&self, options: &Options) -> [Vec<u8>; 2] {
        [
            self.listed(WEIGHT_BITS_AXIS, options.weight_bits),
            self.listed(ACT_BITS_AXIS, options.act_bits),
        ]
    }

    /// What keeps the strategy `mixed` from choosing widths in this space: all of it, with hints.
    #[must_use]
    pub fn refusals_of_mixed(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let several = |axis: &Axis| axis.values.len() > 1;
        let replaced = |axis: &Axis| REPLACED.contains(&axis.name.as_str());
        let objective = |key: &str| self.objectives.iter().any(|o| o.key == key);
        let open = |name: &str| self.axes.iter().any(|axis| axis.name == name && several(axis));
        // Constants do not depend on the widths of activations.
        let choice = open(WEIGHT_BITS_AXIS) || open(ACT_BITS_AXIS) && objective(CYCLES);
        if !choice {
            problems.push("strategy mixed chooses among widths for each layer; give `weight_bits` several values, or `act_bits` where cycles.total is an objective".into());
        }
        for axis in &self.axes {
            let name = &axis.name;
            let of_layer = LAYERS.iter().any(|table| name.starts_with(&format!("{table}.")));
            if of_layer || name == "weight_bits_everywhere" {
                problems.push(format!("`{name}`: strategy mixed chooses it itself"));
            } else if !replaced(axis) && axis.is_of_quantization() && several(axis) {
                problems.push(format!(
                    "`{name}`: strategy mixed measures layers for one way to quantize; give it one value"
                ));
            }
        }
        for rule in &self.rules {
            let named = [Some(rule.axis), rule.other()].into_iter().flatten();
            for axis in named.map(|axis| &self.axes[axis]).filter(|axis| replaced(axis)) {
                let name = &axis.name;
                problems.push(format!("`{name}`: strategy mixed takes all widths that the axis lists; leave out there what the constraint forbids"));
            }
        }
        if !objective(SIZE) && !objective(CYCLES) {
            problems.push(format!("strategy mixed weighs accuracy against {SIZE} or {CYCLES}; one of them must be an objective"));
        }
        if !self.objectives.iter().any(|o| part(&o.key) == Part::Accuracy) {
            problems.push("strategy mixed weighs accuracy against cost; make accuracy.agreement or accuracy.sqnr_db an objective".into());
        }
        problems
    }

    /// Combinations of all that is not a width.
    #[must_use]
    pub fn machines(&self) -> u64 {
        let widths = |axis: &usize| REPLACED.contains(&self.axes[*axis].name.as_str());
        let others = self.genes.iter().filter(|gene| !gene.axes.iter().all(widths));
        others.map(|gene| gene.alleles.len() as u64).product()
    }
}
