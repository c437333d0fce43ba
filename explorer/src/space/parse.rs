//! From TOML to a space, with every mistake and the line it is on.

use compiler::options::Options;
use isa::Hardware;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::axis::{Axis, LAYERS, Settings};
use super::genes::genes;
use super::goal::{Constraint, Direction, Objective, report_keys, satisfiable};
use super::mistake::{Mistake, Mistakes, spelling};
use super::{Comparison, Operand, Rule, Search, Space, Strategy, Value};

/// Tables of a space file.
const TABLES: [&str; 4] = ["axes", "objectives", "constraints", "search"];

/// Most values of one axis.
const MOST_VALUES: usize = 4096;

/// A key with its place and its value, in the order of the file.
type Entry<'e, 't> = (&'e str, usize, &'e Spanned<DeValue<'t>>);

pub(super) fn parse(text: &str) -> Result<Space, Vec<Mistake>> {
    let mut mistakes = Mistakes::of(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        mistakes.at(error.span().map_or(0, |s| s.start), error.message(), "");
    }
    let mut reader = Reader { mistakes, axes: Vec::new(), places: Vec::new() };
    let tables = entries(root.get_ref());
    for (name, at, _) in tables.iter().filter(|(name, ..)| !TABLES.contains(name)) {
        let hint =
            spelling(name, TABLES, "a space has [axes], [objectives], [constraints] and [search]");
        reader.mistakes.at(*at, format!("`{name}`: no such table"), hint);
    }
    let mut table = |wanted: &str| reader_table(&mut reader.mistakes, &tables, wanted);
    let [axes, objectives, constraints, search] = TABLES.map(&mut table);
    reader.axes(&axes.unwrap_or_default());
    let objectives = reader.objectives(&objectives.unwrap_or_default());
    let (rules, constraints) = reader.constraints(&constraints.unwrap_or_default());
    let search = reader.search(&search.unwrap_or_default());
    let Reader { mut mistakes, axes, places } = reader;
    if mistakes.is_empty() && axes.is_empty() {
        mistakes.at(0, "no axis", "[axes] needs at least one, such as `weight_bits = [4, 8]`");
    }
    if mistakes.is_empty() && objectives.is_empty() {
        let hint = "[objectives] needs at least one, such as `\"cycles.total\" = \"min\"`";
        mistakes.at(0, "no objective", hint);
    }
    if !mistakes.is_empty() {
        return Err(mistakes.sorted());
    }
    let genes = match genes(&axes, &rules) {
        Ok(genes) => genes,
        Err((tied, message)) => {
            let names: Vec<&str> = tied.iter().map(|&axis| axes[axis].name.as_str()).collect();
            mistakes.at(places[tied[0]], format!("`{}`: {message}", names.join("`, `")), "");
            return Err(mistakes.sorted());
        }
    };
    let sizes = genes.iter().map(|gene| gene.alleles.len() as u64);
    if sizes.clone().try_fold(1u64, u64::checked_mul).is_none() {
        mistakes.at(places[0], "the axes have more than 2^64 combinations", "");
        return Err(mistakes.sorted());
    }
    Ok(Space { axes, rules, objectives, constraints, search, assignments: Vec::new(), genes })
}

/// Keys in the order of the file.
fn entries<'e, 't>(table: &'e DeTable<'t>) -> Vec<Entry<'e, 't>> {
    let entry = |(key, value): (&'e Spanned<_>, &'e Spanned<DeValue<'t>>)| -> Entry<'e, 't> {
        let key: &'e Spanned<std::borrow::Cow<'t, str>> = key;
        (key.get_ref().as_ref(), key.span().start, value)
    };
    let mut all: Vec<Entry<'e, 't>> = table.iter().map(entry).collect();
    all.sort_by_key(|(_, at, _)| *at);
    all
}

fn reader_table<'e, 't>(
    mistakes: &mut Mistakes<'_>,
    tables: &[Entry<'e, 't>],
    wanted: &str,
) -> Option<Vec<Entry<'e, 't>>> {
    let (_, at, value) = tables.iter().find(|(name, ..)| *name == wanted)?;
    match value.get_ref() {
        DeValue::Table(table) => Some(entries(table)),
        _ => {
            mistakes.at(*at, format!("`{wanted}` must be a table"), format!("write [{wanted}]"));
            None
        }
    }
}

struct Reader<'t> {
    mistakes: Mistakes<'t>,
    axes: Vec<Axis>,
    /// Where each axis stands.
    places: Vec<usize>,
}

impl Reader<'_> {
    fn axes(&mut self, entries_of: &[Entry<'_, '_>]) {
        for (name, at, value) in entries_of {
            match value.get_ref() {
                DeValue::Table(layers) if LAYERS.contains(name) => {
                    for (node, at, value) in entries(layers) {
                        self.axis(&format!("{name}.{node}"), at, value);
                    }
                }
                _ if Axis::names().any(|known| known == *name) => self.axis(name, *at, value),
                _ => {
                    let hint = spelling(name, Axis::names(), "docs/exploration.md lists all axes");
                    self.mistakes.at(*at, format!("`{name}`: no such axis"), hint);
                }
            }
        }
    }

    fn axis(&mut self, name: &str, at: usize, value: &Spanned<DeValue<'_>>) {
        let values = match value.get_ref() {
            DeValue::Array(list) => self.list(name, at, list),
            DeValue::Table(range) => self.range(name, at, range),
            _ => self.list(name, at, std::slice::from_ref(value)),
        };
        let mut settings = Settings { options: Options::default(), hardware: Hardware::default() };
        let mut kept: Vec<Value> = Vec::new();
        for (place, value) in values {
            if kept.contains(&value) {
                self.mistakes.at(place, format!("`{name}`: {value} stands there twice"), "");
            } else if let Err(problem) = Axis::set(name, &value, &mut settings) {
                // Errors of hardware parameters name the parameter and the value themselves.
                let named = problem.contains(name);
                let problem =
                    if named { problem } else { format!("`{name}` = {value}: {problem}") };
                self.mistakes.at(place, problem, "");
            } else {
                kept.push(value);
            }
        }
        self.axes.push(Axis { name: name.to_owned(), values: kept });
        self.places.push(at);
    }

    fn list(
        &mut self,
        name: &str,
        at: usize,
        list: &[Spanned<DeValue<'_>>],
    ) -> Vec<(usize, Value)> {
        if list.is_empty() || list.len() > MOST_VALUES {
            let message = format!("`{name}`: {} values", list.len());
            self.mistakes.at(at, message, format!("an axis has 1 to {MOST_VALUES}"));
            return Vec::new();
        }
        let mut values = Vec::with_capacity(list.len());
        for item in list {
            match plain(item.get_ref()) {
                Some(value) => values.push((item.span().start, value)),
                None => self.mistakes.at(
                    item.span().start,
                    format!("`{name}`: expected numbers, texts, or true and false"),
                    "",
                ),
            }
        }
        values
    }

    fn range(&mut self, name: &str, at: usize, range: &DeTable<'_>) -> Vec<(usize, Value)> {
        let hint =
            "a range is { from = 64, to = 512, step = \"x2\" } or { from = 2, to = 8, step = 1 }";
        let mut ends = [None, None];
        let mut step = Some((1, false));
        for (key, at, value) in entries(range) {
            let value = plain(value.get_ref());
            match (key, &value) {
                ("from", Some(Value::Integer(n))) => ends[0] = Some(*n),
                ("to", Some(Value::Integer(n))) => ends[1] = Some(*n),
                ("step", Some(Value::Integer(n))) => step = (*n > 0).then_some((*n, false)),
                ("step", Some(Value::Word(word))) => {
                    let factor = word.strip_prefix('x').and_then(|digits| digits.parse().ok());
                    step = factor.filter(|n: &i64| *n > 1).map(|n| (n, true));
                }
                _ => self.mistakes.at(at, format!("`{name}`: `{key}` is not understood"), hint),
            }
        }
        let ([Some(from), Some(to)], Some((step, times))) = (ends, step) else {
            self.mistakes.at(at, format!("`{name}`: a range without both ends or a step"), hint);
            return Vec::new();
        };
        if from > to || (times && from < 1) {
            self.mistakes.at(at, format!("`{name}`: no value from {from} to {to}"), hint);
            return Vec::new();
        }
        let next = |n: &i64| if times { n.checked_mul(step) } else { n.checked_add(step) };
        let values = std::iter::successors(Some(from), next).take_while(|n| *n <= to);
        let values: Vec<i64> = values.take(MOST_VALUES + 1).collect();
        if values.len() > MOST_VALUES {
            let message = format!("`{name}`: more than {MOST_VALUES} values");
            self.mistakes.at(at, message, "a wider step");
            return Vec::new();
        }
        values.into_iter().map(|n| (at, Value::Integer(n))).collect()
    }

    fn objectives(&mut self, entries: &[Entry<'_, '_>]) -> Vec<Objective> {
        let known = report_keys();
        let mut objectives = Vec::new();
        for (key, at, value) in dotted(entries) {
            let direction = match plain(value.get_ref()) {
                Some(Value::Word(word)) if word == "max" => Direction::Max,
                Some(Value::Word(word)) if word == "min" => Direction::Min,
                _ => {
                    self.mistakes.at(at, format!("`{key}`: expected \"max\" or \"min\""), "");
                    continue;
                }
            };
            if known.contains_key(&key) {
                objectives.push(Objective { key, direction });
            } else {
                self.unknown_key(&key, at, &[]);
            }
        }
        objectives
    }

    fn unknown_key(&mut self, key: &str, at: usize, more: &[String]) {
        let known = report_keys();
        let names = known.keys().chain(more).map(String::as_str);
        let hint = spelling(key, names, "docs/generated/report.md lists the keys of the report");
        let what = if more.is_empty() {
            "no number of the report"
        } else {
            "no number of the report and no axis"
        };
        self.mistakes.at(at, format!("`{key}`: {what}"), hint);
    }

    fn constraints(&mut self, entries: &[Entry<'_, '_>]) -> (Vec<Rule>, Vec<Constraint>) {
        let known = report_keys();
        let (mut rules, mut constraints) = (Vec::new(), Vec::new());
        let names: Vec<String> = self.axes.iter().map(|axis| axis.name.clone()).collect();
        for (key, at, value) in dotted(entries) {
            let axis = names.iter().position(|name| *name == key);
            if axis.is_none() && !known.contains_key(&key) {
                self.unknown_key(&key, at, &names);
                continue;
            }
            let texts = match value.get_ref() {
                DeValue::Array(list) => list.iter().map(|item| plain(item.get_ref())).collect(),
                single => vec![plain(single)],
            };
            let first = constraints.len();
            for text in texts {
                let split = match &text {
                    Some(Value::Word(text)) => Comparison::split(text),
                    _ => None,
                };
                let Some((comparison, right)) = split else {
                    let hint = "a comparison is a text such as \">= 0.88\" or \"== array_cols\"";
                    self.mistakes.at(at, format!("`{key}`: expected a comparison"), hint);
                    continue;
                };
                match axis {
                    Some(axis) => rules.extend(self.rule(axis, comparison, right, at)),
                    None => {
                        match right.replace('_', "").parse::<f64>().ok().filter(|b| b.is_finite()) {
                            Some(bound) => {
                                let text =
                                    text.map(|text| format!("{key} {text}")).unwrap_or_default();
                                constraints.push(Constraint {
                                    key: key.clone(),
                                    comparison,
                                    bound,
                                    text,
                                });
                            }
                            None => {
                                self.mistakes.at(at, format!("`{key}`: `{right}` is no number"), "")
                            }
                        }
                    }
                }
            }
            let of_key: Vec<&Constraint> = constraints[first..].iter().collect();
            if !of_key.is_empty() && !satisfiable(&of_key, known.get(&key).copied().unwrap_or("")) {
                let all: Vec<&str> = of_key.iter().map(|c| c.text.as_str()).collect();
                self.mistakes.at(at, format!("no value satisfies {}", all.join(" and ")), "");
            }
        }
        (rules, constraints)
    }

    fn rule(
        &mut self,
        axis: usize,
        comparison: Comparison,
        right: &str,
        at: usize,
    ) -> Option<Rule> {
        let like = self.axes[axis].values.first()?.clone();
        let other = self.axes.iter().position(|other| other.name == right);
        let (right, sample) = match other {
            Some(other) => (Operand::Axis(other), self.axes[other].values.first()?.clone()),
            None => {
                let value = match (right.parse(), right.parse(), right.parse()) {
                    (Ok(number), ..) => Value::Integer(number),
                    (_, Ok(number), _) => Value::Number(number),
                    (.., Ok(flag)) => Value::Flag(flag),
                    _ => Value::Word(right.to_owned()),
                };
                (Operand::Value(value.clone()), value)
            }
        };
        if !like.is_like(&sample) {
            let name = &self.axes[axis].name;
            let names = self.axes.iter().map(|axis| axis.name.as_str());
            let hint = spelling(
                &sample.to_string(),
                names,
                "the right side is an axis or a value of the same kind",
            );
            self.mistakes.at(
                at,
                format!("`{name}`: {like} cannot be compared with {sample}"),
                hint,
            );
            return None;
        }
        Some(Rule { axis, comparison, right })
    }

    fn search(&mut self, entries: &[Entry<'_, '_>]) -> Search {
        let mut search = Search::default();
        for (key, at, value) in entries {
            let value = plain(value.get_ref());
            match (*key, &value) {
                ("strategy", Some(Value::Word(name))) => match Strategy::from_name(name) {
                    Some(strategy) => search.strategy = strategy,
                    None => {
                        let hint =
                            format!("one of {}", Strategy::ALL.map(Strategy::name).join(", "));
                        self.mistakes.at(*at, format!("`{name}`: no such strategy"), hint);
                    }
                },
                ("budget", Some(Value::Integer(n))) if *n > 0 => search.budget = *n as u64,
                ("seed", Some(Value::Integer(n))) if *n >= 0 => search.seed = *n as u64,
                _ => {
                    let hint = "strategy = \"grid\", \"random\", \"nsga2\" or \"mixed\"; budget = points, above 0; seed = a number";
                    self.mistakes.at(*at, format!("`{key}` is not understood"), hint);
                }
            }
        }
        search
    }
}

/// Keys with dots, however they are written: `"a.b" = 1`, `a.b = 1` or `a = { b = 1 }`.
fn dotted<'e, 't>(table: &[Entry<'e, 't>]) -> Vec<(String, usize, &'e Spanned<DeValue<'t>>)> {
    let mut all = Vec::new();
    for (name, at, value) in table {
        match value.get_ref() {
            DeValue::Table(inner) => {
                let inner = dotted(&entries(inner)).into_iter();
                all.extend(inner.map(|(key, at, value)| (format!("{name}.{key}"), at, value)));
            }
            _ => all.push(((*name).to_owned(), *at, *value)),
        }
    }
    all
}

fn plain(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::Word(text.to_string())),
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix()).ok().map(Value::Integer),
        DeValue::Float(n) => {
            n.as_str().parse().ok().filter(|n: &f64| n.is_finite()).map(Value::Number)
        }
        DeValue::Boolean(flag) => Some(Value::Flag(*flag)),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
