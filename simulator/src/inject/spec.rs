//! What to flip: the text of `--inject`, parsed.

use std::fmt;
use std::str::FromStr;

use isa::Engine;
use isa::spelling::similar;

/// A memory, or a part of one, whose bits can flip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultSpace {
    /// Weights in DRAM, as stored.
    Weights,
    /// Parameter entries in DRAM: biases, multipliers, shifts.
    Params,
    /// Lookup tables in DRAM.
    Tables,
    /// The scratchpad, at some cycle.
    Scratchpad,
    /// The accumulators, at some cycle.
    Accumulators,
    /// Instruction words in DRAM.
    Instructions,
}

impl FaultSpace {
    /// All of them.
    pub const ALL: [FaultSpace; 6] = [
        FaultSpace::Weights,
        FaultSpace::Params,
        FaultSpace::Tables,
        FaultSpace::Scratchpad,
        FaultSpace::Accumulators,
        FaultSpace::Instructions,
    ];

    /// Its name in specs and reports.
    pub const fn name(self) -> &'static str {
        match self {
            FaultSpace::Weights => "weights",
            FaultSpace::Params => "params",
            FaultSpace::Tables => "tables",
            FaultSpace::Scratchpad => "scratchpad",
            FaultSpace::Accumulators => "accumulators",
            FaultSpace::Instructions => "instructions",
        }
    }

    /// Whether a fault strikes at a moment of the run; else it is there from the start and stays.
    pub const fn is_transient(self) -> bool {
        matches!(self, FaultSpace::Scratchpad | FaultSpace::Accumulators)
    }

    /// What the first number of a place counts.
    pub const fn unit(self) -> &'static str {
        match self {
            FaultSpace::Weights | FaultSpace::Params | FaultSpace::Tables => {
                "byte of the constants"
            }
            FaultSpace::Scratchpad => "byte of the scratchpad",
            FaultSpace::Accumulators => "accumulator",
            FaultSpace::Instructions => "word",
        }
    }
}

impl fmt::Display for FaultSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How many bits flip in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Amount {
    /// As many different ones (at different moments), each set of them equally likely.
    Count(u64),
    /// Each bit with this probability, independently.
    Rate(f64),
    /// These: unit and bit.
    Places(Vec<(u64, u32)>),
}

/// Faults of one campaign: `SPACE[:KEY=VALUE,..]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Where.
    pub space: FaultSpace,
    /// How many.
    pub amount: Amount,
    /// Only in what this node uses, by name.
    pub layer: Option<String>,
    /// Only this bit of a weight, entry, byte, accumulator or word, 0 the lowest.
    pub bit: Option<u32>,
    /// Only in the code of this engine.
    pub engine: Option<Engine>,
    /// Only at this cycle.
    pub cycle: Option<u64>,
    /// Only values that will still be read.
    pub live: bool,
}

/// A spec that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{spec}: {problem}\n  hint: {hint}")]
pub struct SpecError {
    /// The text.
    pub spec: String,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub hint: String,
}

/// Keys of a spec.
const KEYS: [&str; 7] = ["count", "rate", "at", "layer", "bit", "engine", "cycle"];

/// The flag of a spec.
const LIVE: &str = "live";

impl Spec {
    /// One bit anywhere in a memory.
    #[must_use]
    pub fn one(space: FaultSpace) -> Spec {
        let amount = Amount::Count(1);
        Spec { space, amount, layer: None, bit: None, engine: None, cycle: None, live: false }
    }
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Spec, SpecError> {
        parse(text).map_err(|(problem, hint)| SpecError { spec: text.to_owned(), problem, hint })
    }
}

/// A problem and a hint.
type Wrong = (String, String);

fn parse(text: &str) -> Result<Spec, Wrong> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let space = FaultSpace::ALL.into_iter().find(|space| space.name() == name);
    let space =
        space.ok_or_else(|| unknown("memory", name, FaultSpace::ALL.map(FaultSpace::name)))?;
    let mut spec = Spec::one(space);
    let mut amounts = Vec::new();
    let mut seen = Vec::new();
    for (key, value) in items(rest)? {
        if seen.contains(&key) {
            return Err((format!("`{key}` is given twice"), "name each key once".into()));
        }
        seen.push(key);
        match key {
            "count" => amounts.push((key, Amount::Count(number(key, value, 1)?))),
            "rate" => amounts.push((key, Amount::Rate(rate(value)?))),
            "at" => amounts.push((key, Amount::Places(places(space, value)?))),
            "layer" => spec.layer = Some(value.to_owned()),
            "bit" => spec.bit = Some(number(key, value, 0)?),
            "engine" => spec.engine = Some(engine(value)?),
            "cycle" => spec.cycle = Some(number(key, value, 0)?),
            _ => spec.live = true,
        }
    }
    if let [(first, _), (second, _), ..] = &amounts[..] {
        let hint = "count: so many bits; rate: each bit with this probability; at: these bits";
        return Err((format!("`{first}` and `{second}` exclude each other"), hint.into()));
    }
    if let Some((_, amount)) = amounts.pop() {
        spec.amount = amount;
    }
    sense(&spec)?;
    Ok(spec)
}

/// Splits `key=value,key=value,live`. Names of layers may hold commas: what begins with no known key belongs to the value before.
fn items(text: &str) -> Result<Vec<(&str, &str)>, Wrong> {
    let mut starts = vec![0];
    starts.extend(text.match_indices(',').map(|(at, _)| at + 1).filter(|&at| {
        let item = &text[at..];
        let key = item.split(['=', ',']).next().unwrap_or("");
        let layer = text[..at].contains("layer=");
        !layer || key == LIVE || (KEYS.contains(&key) && item[key.len()..].starts_with('='))
    }));
    let mut found = Vec::new();
    for (i, &start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).map_or(text.len(), |next| next - 1);
        let item = &text[start..end];
        let known = KEYS.into_iter().chain([LIVE]);
        match item.split_once('=') {
            _ if item == LIVE => found.push((LIVE, "")),
            _ if item.is_empty() && text.is_empty() => {}
            Some((key, value)) if KEYS.contains(&key) => found.push((key, value)),
            Some((key, _)) => return Err(unknown("key", key, known)),
            None if KEYS.contains(&item) => {
                return Err((format!("`{item}` has no value"), format!("{item}=VALUE")));
            }
            None => return Err(unknown("key", item, known)),
        }
    }
    Ok(found)
}

fn unknown<'k>(what: &str, name: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> Wrong {
    let near = similar(name, known.clone());
    let hint = match near.first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("one of {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    };
    (format!("unknown {what} `{name}`"), hint)
}

fn number<T: FromStr + PartialOrd + fmt::Display>(
    key: &str,
    value: &str,
    least: T,
) -> Result<T, Wrong> {
    match value.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => Err((
            format!("`{key}={value}` is no whole number of at least {least}"),
            format!("{key}={least}"),
        )),
    }
}

fn rate(value: &str) -> Result<f64, Wrong> {
    match value.parse() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => Err((
            format!("`rate={value}` is no probability"),
            "the chance that a bit flips during a run, 0..1, such as rate=1e-6".into(),
        )),
    }
}

fn engine(value: &str) -> Result<Engine, Wrong> {
    let found = Engine::ALL.into_iter().find(|engine| engine.name() == value);
    found.ok_or_else(|| unknown("engine", value, Engine::ALL.map(Engine::name)))
}

/// `UNIT.BIT+UNIT.BIT`.
fn places(space: FaultSpace, value: &str) -> Result<Vec<(u64, u32)>, Wrong> {
    let place = |text: &str| {
        let (unit, bit) = text.split_once('.')?;
        Some((unit.parse().ok()?, bit.parse().ok()?))
    };
    value.split('+').map(place).collect::<Option<_>>().ok_or_else(|| {
        let hint = format!("at=N.BIT: bit BIT of {} N; several joined by `+`", space.unit());
        (format!("`at={value}` names no place"), hint)
    })
}

/// Keys that have no meaning together.
fn sense(spec: &Spec) -> Result<(), Wrong> {
    let wrong = |problem: String, hint: &str| Err((problem, hint.to_owned()));
    let (space, fixed) = (spec.space, matches!(spec.amount, Amount::Places(_)));
    for (given, key) in [(spec.cycle.is_some(), "cycle"), (spec.live, LIVE)] {
        if given && !space.is_transient() {
            return wrong(
                format!(
                    "`{key}` has no meaning for {space}, whose faults are there from the start"
                ),
                "scratchpad or accumulators",
            );
        }
    }
    if spec.engine.is_some() && space != FaultSpace::Instructions {
        return wrong(format!("`engine` has no meaning for {space}"), "instructions:engine=NAME");
    }
    for (given, key) in
        [(spec.layer.is_some(), "layer"), (spec.bit.is_some(), "bit"), (spec.live, LIVE)]
    {
        if given && fixed {
            return wrong(
                format!("`{key}` and `at` exclude each other"),
                "`at` names places, the other keys choose among them",
            );
        }
    }
    if fixed && space == FaultSpace::Instructions && spec.engine.is_none() {
        return wrong(
            "`at` needs the engine whose word it is".into(),
            "engine=load, mxu, vpu or store",
        );
    }
    Ok(())
}

impl fmt::Display for Spec {
    /// The shortest text that means it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut items = Vec::new();
        match &self.amount {
            Amount::Count(1) => {}
            Amount::Count(count) => items.push(format!("count={count}")),
            Amount::Rate(rate) => items.push(format!("rate={rate:e}")),
            Amount::Places(places) => {
                let places: Vec<String> =
                    places.iter().map(|(unit, bit)| format!("{unit}.{bit}")).collect();
                items.push(format!("at={}", places.join("+")));
            }
        }
        items.extend(self.layer.as_ref().map(|layer| format!("layer={layer}")));
        items.extend(self.bit.map(|bit| format!("bit={bit}")));
        items.extend(self.engine.map(|engine| format!("engine={engine}")));
        items.extend(self.cycle.map(|cycle| format!("cycle={cycle}")));
        items.extend(self.live.then(|| LIVE.to_owned()));
        let separator = if items.is_empty() { "" } else { ":" };
        write!(f, "{}{separator}{}", self.space, items.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Spec>().unwrap_err().to_string()
    }

    #[test]
    fn specs_are_read_and_written() {
        for text in [
            "weights",
            "weights:count=3,bit=7",
            "scratchpad:rate=1e-6,live",
            "scratchpad:at=17.3+17.3,cycle=99",
            "accumulators:layer=/conv1/Conv,bit=31",
            "weights:rate=2.5e-3,layer=/act, \"1\"/HardSwish,bit=0",
            "instructions:at=12.100,engine=mxu",
            "tables:rate=0e0",
        ] {
            let spec: Spec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
            assert_eq!(spec.to_string().parse(), Ok(spec));
        }
        assert_eq!("weights:count=1".parse(), Ok(Spec::one(FaultSpace::Weights)));
        let named: Spec = "weights:layer=a,b=c,bit=3".parse().unwrap();
        assert_eq!((named.layer.as_deref(), named.bit), (Some("a,b=c"), Some(3)));
    }

    #[test]
    fn mistakes_get_a_hint() {
        for (text, parts) in [
            ("weight", ["unknown memory `weight`", "did you mean `weights`?"]),
            ("dram", ["unknown memory `dram`", "one of weights, params"]),
            ("weights:conut=1", ["unknown key `conut`", "`count`"]),
            ("weights:count", ["`count` has no value", "count=VALUE"]),
            ("weights:count=0", ["`count=0`", "at least 1"]),
            ("weights:rate=2", ["no probability", "0..1"]),
            ("weights:rate=nan", ["no probability", "0..1"]),
            ("weights:count=1,count=2", ["twice", "once"]),
            ("weights:count=1,rate=0.1", ["`count` and `rate` exclude each other", "each bit"]),
            ("weights:at=5", ["names no place", "byte of the constants N"]),
            ("weights:at=5.1,bit=1", ["`bit` and `at` exclude", "places"]),
            ("weights:cycle=5", ["no meaning for weights", "scratchpad"]),
            ("weights:engine=mxu", ["no meaning for weights", "instructions:"]),
            ("instructions:at=1.1", ["needs the engine", "engine=load"]),
            ("instructions:engine=dma", ["unknown engine `dma`", "load, mxu"]),
        ] {
            let said = error(text);
            for part in [text].iter().chain(&parts) {
                assert!(said.contains(part), "{text}: {said}");
            }
        }
    }
}
