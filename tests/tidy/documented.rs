//! Public items and what their documentation has, line by line.

pub(crate) struct Item {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) returns_result: bool,
    pub(crate) has_errors: bool,
    pub(crate) has_standard: bool,
    pub(crate) has_example: bool,
}

/// The functions, types, traits and constants of a file that users see, and what is in such traits. Without those that
/// are hidden, have no documentation (rustc says so where there should be one), or are made by a macro.
pub(crate) fn items(text: &str) -> Vec<Item> {
    let lines: Vec<_> = text.lines().collect();
    let mut items = Vec::new();
    let (mut doc, mut is_hidden, mut in_trait, mut in_attribute) = (Vec::new(), false, false, false);
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        in_trait = (in_trait || opens_trait(line)) && *line != "}";
        if let Some(comment) = code.strip_prefix("///") {
            doc.push(comment.trim_start());
            continue;
        }
        if in_attribute || code.starts_with("#[") {
            in_attribute = !code.ends_with(']');
            is_hidden |= code == "#[doc(hidden)]";
            continue;
        }
        let name = name(code, in_trait).filter(|_| !is_hidden && !doc.is_empty());
        items.extend(name.map(|name| Item {
            line: at + 1,
            name: name.into(),
            returns_result: returns_result(&lines[at..]),
            has_errors: doc.contains(&"# Errors"),
            has_standard: doc.contains(&"# Standard"),
            has_example: has_example(&doc),
        }));
        doc.clear();
        is_hidden = false;
    }
    items
}

fn opens_trait(line: &str) -> bool {
    ["pub trait ", "pub unsafe trait "].iter().any(|start| line.starts_with(start)) && !line.ends_with('}')
}

/// Whether a block is Rust that compiles. What must not compile shows how an item is not used.
fn has_example(doc: &[&str]) -> bool {
    let fences = doc.iter().filter_map(|line| line.strip_prefix("```"));
    fences.step_by(2).any(|attributes| ["", "no_run"].contains(&attributes))
}

fn name(code: &str, in_trait: bool) -> Option<&str> {
    let item = match code.strip_prefix("pub ") {
        Some(item) => item,
        None if in_trait => code,
        None => return None,
    };
    let is_of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut words = item.split(|letter: char| !is_of_name(letter)).filter(|word| !word.is_empty());
    let mut is_constant = false;
    loop {
        match words.next()? {
            "const" => is_constant = true,
            "async" | "unsafe" => {}
            "fn" | "struct" | "enum" | "trait" | "type" => return words.next(),
            name => return is_constant.then_some(name),
        }
    }
}

fn returns_result(lines: &[&str]) -> bool {
    let signature = |line: &&&str| !line.ends_with(['{', ';', '}']);
    let whole = lines.iter().take(lines.iter().take_while(signature).count() + 1);
    let whole = whole.copied().collect::<Vec<_>>().join(" ");
    whole.contains("fn ") && whole.rsplit_once("->").is_some_and(|(_, result)| result.contains("Result<"))
}
