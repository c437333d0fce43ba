//! Class names and labels: `labels.txt` with one name a line, and `labels.csv` with `file,label`.

use std::path::Path;

use crate::error::{CliError, read_file};

/// What labels are taken to mean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Classes<'a> {
    /// Names of the classes, if known.
    pub names: &'a [String],
    /// Number of classes: values of the network's first output.
    pub count: usize,
}

impl Classes<'_> {
    /// Class of a label: a name of the list, else an index.
    ///
    /// # Errors
    /// A label that is neither.
    pub(crate) fn index(&self, label: &str) -> Result<i64, String> {
        let named = |(i, name): (usize, &String)| (name == label).then_some(i);
        let mut found = self.names.iter().enumerate().filter_map(named);
        if let Some(first) = found.next() {
            return match found.next() {
                None => Ok(first as i64),
                Some(second) => {
                    Err(format!("label `{label}` names two classes, {first} and {second}"))
                }
            };
        }
        match label.parse::<i64>() {
            Ok(index) if (0..self.count as i64).contains(&index) => Ok(index),
            Ok(index) => Err(format!("label {index} is not below {} classes", self.count)),
            Err(_) if self.names.is_empty() => Err(format!(
                "label `{label}` is not an integer, and the program has no class names (qcc --names)"
            )),
            Err(_) => {
                let near = isa::spelling::similar(label, self.names.iter().map(String::as_str));
                let hint = near.first().map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                Err(format!("label `{label}` is neither a class name nor an integer{hint}"))
            }
        }
    }
}

/// Reads class names, one a line, for a network of `count` classes. Blank lines may only stand at the end: within, they would shift classes.
pub(crate) fn read_names(path: &Path, count: usize) -> Result<Vec<String>, CliError> {
    let text =
        String::from_utf8(read_file(path)?).map_err(|_| CliError::in_file(path, "is not text"))?;
    let names: Vec<String> = text.trim_end().lines().map(|l| l.trim().to_string()).collect();
    if let Some(blank) = names.iter().position(String::is_empty) {
        return Err(CliError::in_file(path, format!("line {} is blank", blank + 1)));
    }
    if names.len() != count {
        return Err(CliError::in_file(
            path,
            format!(
                "holds {} names, but the first output has {count} values\n  hint: one name a line, in the order of the output",
                names.len()
            ),
        ));
    }
    Ok(names)
}

/// A line of `labels.csv`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Line, from 1.
    pub line: usize,
    /// Name of the file, relative to the folder.
    pub file: String,
    /// Label as written.
    pub label: String,
}

/// Entries of `labels.csv`, header skipped. Every line that is not `file,label` is one of the `problems`.
pub(super) fn parse_csv(text: &str, problems: &mut Vec<String>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match fields(line).as_deref() {
            Some([file, label]) if !file.is_empty() && !label.is_empty() => {
                let is_header = i == 0
                    && ["file", "filename", "image"].contains(&file.to_lowercase().as_str())
                    && ["label", "class"].contains(&label.to_lowercase().as_str());
                if !is_header {
                    entries.push(Entry { line: i + 1, file: file.clone(), label: label.clone() });
                }
            }
            _ => problems.push(format!("labels.csv, line {}: not `file,label`", i + 1)),
        }
    }
    entries
}

/// Fields of a line; a field may be quoted, a quote in it doubled (RFC 4180). `None` if a quote is not closed.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let field = fields.last_mut()?;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' if quoted || field.trim().is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    (!quoted).then(|| fields.iter().map(|f| f.trim().to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_a_file_and_a_label() {
        let parse = |text: &str| {
            let mut problems = Vec::new();
            (parse_csv(text, &mut problems), problems)
        };
        let (entries, problems) = parse(
            "\u{feff}File,label\r\na.jpg, 3\r\n\n\"b, \"\"c\"\".png\",tabby cat\nsub/d.png,0\n",
        );
        assert!(problems.is_empty());
        let entry =
            |line, file: &str, label: &str| Entry { line, file: file.into(), label: label.into() };
        assert_eq!(
            entries,
            [
                entry(2, "a.jpg", "3"),
                entry(4, "b, \"c\".png", "tabby cat"),
                entry(5, "sub/d.png", "0")
            ]
        );
        let (entries, problems) = parse("a.jpg,1\nb.jpg\n\"c.jpg,2\n,3\n");
        assert_eq!(entries, [entry(1, "a.jpg", "1")]);
        assert_eq!(problems, [2, 3, 4].map(|n| format!("labels.csv, line {n}: not `file,label`")));
        assert_eq!(parse("file.jpg,label").0.len(), 1);
    }

    #[test]
    fn labels_are_names_or_indexes() {
        let names: Vec<String> = ["cat", "dog", "crane", "crane", "1"].map(String::from).to_vec();
        let classes = Classes { names: &names, count: 5 };
        assert_eq!(classes.index("dog"), Ok(1));
        assert_eq!(classes.index("3"), Ok(3));
        assert_eq!(classes.index("1"), Ok(4), "a name wins");
        for (label, part) in [
            ("crane", "two classes, 2 and 3"),
            ("5", "not below 5"),
            ("-1", "not below 5"),
            ("dgo", "did you mean `dog`?"),
        ] {
            assert!(classes.index(label).unwrap_err().contains(part), "{label}");
        }
        let nameless = Classes { names: &[], count: 5 };
        assert!(nameless.index("dog").unwrap_err().contains("--names"));
    }
}
