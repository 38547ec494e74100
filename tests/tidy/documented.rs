//! Public items and what their documentation shows, line by line.

pub(crate) struct Item {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) returns_result: bool,
    pub(crate) is_function: bool,
    pub(crate) has_errors: bool,
    pub(crate) has_standard: bool,
    pub(crate) has_example: bool,
}

/// The functions, structs, enums and traits of a file that users see, and the methods of such traits. Without those
/// that are hidden, or have no documentation: rustc says so where there should be one.
pub(crate) fn items(text: &str) -> Vec<Item> {
    let lines: Vec<_> = text.lines().collect();
    let mut items = Vec::new();
    let (mut doc, mut is_hidden, mut in_trait) = (Vec::new(), false, false);
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        in_trait = (in_trait || line.starts_with("pub trait ")) && *line != "}";
        if let Some(comment) = code.strip_prefix("///") {
            doc.push(comment.trim_start());
            continue;
        }
        if code.starts_with("#[") {
            is_hidden |= code == "#[doc(hidden)]";
            continue;
        }
        let name = name(code, in_trait).filter(|_| !is_hidden && !doc.is_empty());
        items.extend(name.map(|name| Item {
            line: at + 1,
            name: name.into(),
            returns_result: returns_result(&lines[at..]),
            is_function: code.contains("fn "),
            has_errors: doc.contains(&"# Errors"),
            has_standard: doc.contains(&"# Standard"),
            has_example: doc.iter().any(|line| line.starts_with("```")),
        }));
        doc.clear();
        is_hidden = false;
    }
    items
}

fn name(code: &str, in_trait: bool) -> Option<&str> {
    let item = match code.strip_prefix("pub ") {
        Some(item) => item,
        None if in_trait && code.starts_with("fn ") => code,
        None => return None,
    };
    let mut words = item.split(|letter: char| !is_of_name(letter)).filter(|word| !word.is_empty());
    let is_kind = |word: &str| ["fn", "struct", "enum", "trait"].contains(&word);
    while let Some(word) = words.next() {
        match word {
            "const" | "async" | "unsafe" => {}
            kind if is_kind(kind) => return words.next(),
            _ => return None,
        }
    }
    None
}

fn returns_result(lines: &[&str]) -> bool {
    let signature = |line: &&&str| !line.ends_with(['{', ';', '}']);
    let whole = lines.iter().take(lines.iter().take_while(signature).count() + 1);
    let whole = whole.copied().collect::<Vec<_>>().join(" ");
    whole.contains("fn ") && whole.rsplit_once("->").is_some_and(|(_, result)| result.contains("Result<"))
}

/// The names in the examples of a file.
pub(crate) fn shown(text: &str) -> Vec<&str> {
    let mut is_example = false;
    let mut names = Vec::new();
    for line in text.lines().map(str::trim_start) {
        let Some(comment) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            is_example = false;
            continue;
        };
        if comment.trim_start().starts_with("```") {
            is_example = !is_example;
        } else if is_example {
            names.extend(comment.split(|letter: char| !is_of_name(letter)));
        }
    }
    names
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}
