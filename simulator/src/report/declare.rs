//! The macros behind the key list, and what follows from it: the list of keys as data and the manual page.

use std::fmt::Write as _;

use isa::Hardware;

use super::schema::{Report, SCHEMA_VERSION};

/// One key of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Path in the JSON: names joined by dots, `[]` after an array, `{a,b}` for keys of the same structure.
    pub path: String,
    /// JSON type; several joined by `or`.
    pub kind: String,
    /// Unit, or how a value is written; empty for objects.
    pub unit: &'static str,
    /// Meaning.
    pub doc: String,
}

impl Key {
    /// The paths it stands for: `a.{b,c}.d` is `a.b.d` and `a.c.d`, the first name varying slowest.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let mut paths = vec![String::new()];
        let mut rest = self.path.as_str();
        while let Some((before, (choices, after))) =
            rest.split_once('{').and_then(|(before, tail)| Some((before, tail.split_once('}')?)))
        {
            let extend = |path: &String| {
                choices
                    .split(',')
                    .map(|choice| format!("{path}{before}{choice}"))
                    .collect::<Vec<_>>()
            };
            paths = paths.iter().flat_map(extend).collect();
            rest = after;
        }
        paths.iter_mut().for_each(|path| path.push_str(rest));
        paths
    }
}

/// Place of a value while the key list is gathered.
pub(crate) struct Place {
    pub(crate) path: String,
    pub(crate) unit: &'static str,
    pub(crate) doc: String,
}

impl Place {
    /// Where an object stands alone.
    pub(crate) fn root() -> Place {
        Place { path: String::new(), unit: "", doc: String::new() }
    }

    pub(crate) fn key(self, kind: &str) -> Key {
        Key { path: self.path, kind: kind.to_owned(), unit: self.unit, doc: self.doc }
    }

    /// The place of a member.
    pub(crate) fn member(&self, name: &str, unit: &'static str, doc: &str) -> Place {
        let path =
            if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        let lines: Vec<&str> = doc.lines().map(str::trim).collect();
        Place { path, unit, doc: lines.join(" ").trim().to_owned() }
    }
}

/// A type of value that knows its keys.
pub(crate) trait Describe {
    /// Appends the key at `place` and all keys below it.
    fn describe(place: Place, keys: &mut Vec<Key>);
}

macro_rules! describe_plain {
    ($($ty:ty = $kind:literal),+) => {
        $(impl Describe for $ty {
            fn describe(place: Place, keys: &mut Vec<Key>) {
                keys.push(place.key($kind));
            }
        })+
    };
}

describe_plain!(
    u32 = "integer",
    u64 = "integer",
    i64 = "integer",
    f64 = "number",
    bool = "boolean",
    String = "string"
);

impl<T: Describe> Describe for Option<T> {
    fn describe(place: Place, keys: &mut Vec<Key>) {
        let first = keys.len();
        T::describe(place, keys);
        if let Some(key) = keys.get_mut(first) {
            key.kind.push_str(" or null");
        }
    }
}

impl<T: Describe> Describe for Vec<T> {
    fn describe(place: Place, keys: &mut Vec<Key>) {
        let inner =
            Place { path: format!("{}[]", place.path), unit: place.unit, doc: String::new() };
        keys.push(place.key("array"));
        let first = keys.len();
        T::describe(inner, keys);
        // The elements themselves need no line of their own, only what is inside them.
        keys.remove(first);
    }
}

impl Describe for Hardware {
    fn describe(place: Place, keys: &mut Vec<Key>) {
        let members: Vec<Place> = Hardware::PARAMS
            .iter()
            .map(|info| place.member(info.name, info.unit, info.doc))
            .collect();
        let rounding = place.member("rounding", "mode", "Rounding mode of every requantization.");
        keys.push(place.key("object"));
        keys.extend(members.into_iter().map(|member| member.key("integer")));
        keys.push(rounding.key("string"));
    }
}

/// Declares objects of the report: `Name { field: Type = "unit"; }`, all with doc comments. The unit of an object or array is `""`.
macro_rules! objects {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident { $( $(#[doc = $field_doc:literal])+ $field:ident: $ty:ty = $unit:literal; )+ }
    )+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                $( $(#[doc = $field_doc])+ pub $field: $ty, )+
            }

            impl $crate::report::declare::Describe for $name {
                fn describe(place: $crate::report::declare::Place, keys: &mut Vec<$crate::report::Key>) {
                    let members = [$( place.member(stringify!($field), $unit, concat!($($field_doc, "\n"),+)) ),+];
                    keys.push(place.key("object"));
                    let mut members = members.into_iter();
                    $(
                        let member = members.next().expect("one member per field");
                        <$ty as $crate::report::declare::Describe>::describe(member, keys);
                    )+
                }
            }
        )+
    };
}

/// Declares objects whose members all have the same type: `Name { a, b }`.
macro_rules! groups {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident { $( $(#[doc = $field_doc:literal])+ $field:ident, )+ }
    )+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name<T> {
                $( $(#[doc = $field_doc])+ pub $field: T, )+
            }

            impl<T> $name<T> {
                /// Names of the members, in order.
                pub const NAMES: &'static [&'static str] = &[$(stringify!($field)),+];

                /// Members with their names, in order.
                pub fn iter(&self) -> impl Iterator<Item = (&'static str, &T)> {
                    [$((stringify!($field), &self.$field)),+].into_iter()
                }
            }

            impl<T: $crate::report::declare::Describe> $crate::report::declare::Describe for $name<T> {
                fn describe(place: $crate::report::declare::Place, keys: &mut Vec<$crate::report::Key>) {
                    let docs = [$( (stringify!($field), concat!($($field_doc),+)) ),+];
                    let docs: Vec<String> = docs.iter().map(|(name, doc)| format!("`{name}`: {}", doc.trim())).collect();
                    let name = format!("{{{}}}", Self::NAMES.join(","));
                    let member = place.member(&name, "", &docs.join(" "));
                    keys.push(place.key("object"));
                    T::describe(member, keys);
                }
            }
        )+
    };
}

pub(crate) use {groups, objects};

/// Every key of the report, in order.
#[must_use]
pub fn keys() -> Vec<Key> {
    keys_of::<Report>()
}

/// Every key of a document, in order.
pub(crate) fn keys_of<T: Describe>() -> Vec<Key> {
    let mut keys = Vec::new();
    T::describe(Place::root(), &mut keys);
    // The document itself has no name.
    keys.remove(0);
    keys
}

/// A table of keys, as Markdown.
pub(crate) fn table(keys: &[Key]) -> String {
    let mut text = "| key | type | unit | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for key in keys {
        let _ = writeln!(text, "| `{}` | {} | {} | {} |", key.path, key.kind, key.unit, key.doc);
    }
    text
}

/// The manual page of the report: every key with its type, unit and meaning, and the columns of the CSV, as Markdown.
#[must_use]
pub fn schema_markdown() -> String {
    format!(
        "# Report\n\n\
         Generated from the list in `simulator/src/report/schema.rs`. This is schema version {SCHEMA_VERSION}: keys may be added\n\
         without a new version; a key that is renamed, removed or changes its meaning makes one. `{{a,b}}` in a name stands for\n\
         several keys, `[]` for the elements of an array. Every key is always present; what was not measured is `null`.\n\n{}\n\
         ## CSV\n\n\
         `qsim --format csv` prints one line of column names, then one line per node in program order, as RFC 4180 says. The columns\n\
         are all keys below `layers[]` above that are no objects, in this order; what is `null` is empty:\n\n```text\n{}\n```\n",
        table(&keys()),
        super::csv::columns().join("\n"),
    )
}
