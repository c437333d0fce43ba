//! Names that differ from all others of a file.

use std::collections::{BTreeMap, BTreeSet};

/// Names in use, each with the number to try next when it is wanted again: many equal names must not take many tries
/// each.
pub(super) struct UsedNames(BTreeMap<String, u32>);

impl UsedNames {
    /// Names that are taken from the start.
    pub(super) fn new(names: BTreeSet<String>) -> UsedNames {
        UsedNames(names.into_iter().map(|name| (name, 2)).collect())
    }

    /// `base`, or `base` with a number, whichever is free; taken from then on.
    pub(super) fn fresh(&mut self, base: &str) -> String {
        let mut name = base.to_owned();
        if let Some(&first) = self.0.get(base) {
            let mut number = first;
            while self.0.contains_key(&name) {
                name = format!("{base}_{number}");
                number += 1;
            }
            self.0.insert(base.to_owned(), number);
        }
        self.0.insert(name.clone(), 2);
        name
    }
}
