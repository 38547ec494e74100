//! The files of `src/` as text and as tokens.
//!
//! Tokens rather than a syntax tree, because a path in a macro's arguments counts like any other and no
//! tree knows what these mean. Comments and strings are no tokens, so they may say anything.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::{
    fs,
    path::{Path, PathBuf},
};

pub(crate) struct Source {
    /// The path from the package's root: `src/p2p/matching.rs`.
    pub(crate) file: String,
    pub(crate) text: String,
    /// Where the file's items live: `["p2p", "matching"]`.
    pub(crate) module: Vec<String>,
    pub(crate) tokens: Vec<Token>,
    /// Without what is compiled only for tests and fuzzing.
    pub(crate) product: Vec<Token>,
}

#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone)]
pub(crate) enum Kind {
    Ident(String),
    Punct(char),
    Literal,
    Group(Delimiter, Vec<Token>),
}

impl Token {
    pub(crate) fn ident(&self) -> Option<&str> {
        match &self.kind {
            Kind::Ident(name) => Some(name),
            _ => None,
        }
    }

    pub(crate) fn is(&self, punct: char) -> bool {
        matches!(self.kind, Kind::Punct(found) if found == punct)
    }

    pub(crate) fn group(&self, delimiter: Delimiter) -> Option<&[Token]> {
        match &self.kind {
            Kind::Group(found, tokens) if *found == delimiter => Some(tokens),
            _ => None,
        }
    }
}

impl Source {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        let stream: TokenStream = text.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
        let tokens = tokens(stream);
        let product = product(&tokens);
        Self { file: file.into(), text: text.into(), module: module(file), tokens, product }
    }

    /// The top-level module that the file belongs to; `None` for the crate's roots.
    pub(crate) fn top(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }

    pub(crate) fn is_in(&self, modules: &[&str]) -> bool {
        self.top().is_some_and(|top| modules.contains(&top))
    }
}

/// Every file of `src/`.
pub(crate) fn all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    files.sort();
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = path.strip_prefix(root).expect("collected below the root").to_string_lossy();
        Source::new(&file, &text)
    };
    let mut sources: Vec<_> = files.iter().map(read).collect();
    assert!(sources.iter().any(|source| source.file == "src/lib.rs"), "src/lib.rs is not among {files:?}");
    drop_test_files(&mut sources);
    sources
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Files of modules that are declared for tests only have no product.
pub(crate) fn drop_test_files(sources: &mut [Source]) {
    let declared = |source: &Source| {
        let in_source = |name: String| [source.module.clone(), vec![name]].concat();
        test_modules(&source.tokens).into_iter().map(in_source).collect::<Vec<_>>()
    };
    let tests: Vec<_> = sources.iter().flat_map(declared).collect();
    for source in sources {
        if tests.iter().any(|module| source.module.starts_with(module)) {
            source.product.clear();
        }
    }
}

fn module(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Vec<_> = path.split('/').map(String::from).collect();
    let is_root = module == ["lib"];
    if is_root || module.last().is_some_and(|name| name == "mod" || name == "main") {
        module.pop();
    }
    module
}

fn tokens(stream: TokenStream) -> Vec<Token> {
    stream
        .into_iter()
        .map(|tree| {
            let line = tree.span().start().line;
            let kind = match tree {
                TokenTree::Ident(ident) => Kind::Ident(ident.to_string()),
                TokenTree::Punct(punct) => Kind::Punct(punct.as_char()),
                TokenTree::Literal(_) => Kind::Literal,
                TokenTree::Group(group) => Kind::Group(group.delimiter(), tokens(group.stream())),
            };
            Token { line, kind }
        })
        .collect()
}

fn product(tokens: &[Token]) -> Vec<Token> {
    if matches!(tokens, [hash, bang, attribute, ..] if hash.is('#') && bang.is('!') && is_for_tests(attribute))
    {
        return Vec::new();
    }
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if starts_test_item(&tokens[at..]) {
            at += item_length(&tokens[at..]);
            continue;
        }
        let mut token = tokens[at].clone();
        if let Kind::Group(_, inner) = &mut token.kind {
            *inner = product(inner);
        }
        kept.push(token);
        at += 1;
    }
    kept
}

/// The names in `mod name;` that are declared for tests only, directly in a file.
fn test_modules(tokens: &[Token]) -> Vec<String> {
    let items = (0..tokens.len()).filter(|&at| starts_test_item(&tokens[at..]));
    let name = |at: usize| match &tokens[at..at + item_length(&tokens[at..])] {
        [.., keyword, name, end] if keyword.ident() == Some("mod") && end.is(';') => {
            name.ident().map(String::from)
        }
        _ => None,
    };
    items.filter_map(name).collect()
}

fn starts_test_item(tokens: &[Token]) -> bool {
    matches!(tokens, [hash, attribute, ..] if hash.is('#') && is_for_tests(attribute))
}

/// Whether this is the `[test]` or `[cfg(…)]` of an item that only tests or fuzzing compile.
fn is_for_tests(attribute: &Token) -> bool {
    match attribute.group(Delimiter::Bracket) {
        Some([name]) => name.ident() == Some("test"),
        Some([name, condition]) if name.ident() == Some("cfg") => {
            condition.group(Delimiter::Parenthesis).and_then(holds_in_product) == Some(false)
        }
        _ => false,
    }
}

/// Whether a `cfg` condition holds outside tests and fuzzing; `None` if that depends on the build.
fn holds_in_product(condition: &[Token]) -> Option<bool> {
    match condition {
        [name] if matches!(name.ident(), Some("test" | "fuzzing")) => Some(false),
        [operator, operands] => {
            let operands = operands.group(Delimiter::Parenthesis)?;
            let mut holds =
                operands.split(|token| token.is(',')).filter(|part| !part.is_empty()).map(holds_in_product);
            match operator.ident()? {
                "not" => holds.next()?.map(|holds| !holds),
                "all" => decide(holds, false),
                "any" => decide(holds, true),
                _ => None,
            }
        }
        _ => None,
    }
}

/// One operand that is `decisive` decides; else all must be known.
fn decide(operands: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let operands: Vec<_> = operands.collect();
    if operands.contains(&Some(decisive)) {
        return Some(decisive);
    }
    operands.iter().all(Option::is_some).then_some(!decisive)
}

/// How many tokens an item takes, attributes included: to its braces, its semicolon or, for a field, a
/// variant or a match arm, its comma.
fn item_length(tokens: &[Token]) -> usize {
    let name_ends = tokens.iter().position(|token| token.is(':')).unwrap_or(tokens.len());
    let has_body = tokens[..name_ends]
        .iter()
        .any(|token| matches!(token.ident(), Some("fn" | "impl" | "struct" | "enum" | "trait" | "union")));
    let mut angles = 0;
    for (at, token) in tokens.iter().enumerate() {
        let arrow = at > 0 && (tokens[at - 1].is('-') || tokens[at - 1].is('='));
        match token.kind {
            Kind::Punct('<') => angles += 1,
            Kind::Punct('>') if !arrow => angles -= 1,
            Kind::Punct(';') | Kind::Group(Delimiter::Brace, _) => return at + 1,
            Kind::Punct(',') if angles == 0 && !has_body => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idents(tokens: &[Token]) -> Vec<String> {
        let inner = |token: &Token| match &token.kind {
            Kind::Ident(name) => vec![name.clone()],
            Kind::Group(_, inner) => idents(inner),
            _ => vec![],
        };
        tokens.iter().flat_map(inner).collect()
    }

    #[test]
    fn what_only_tests_compile_is_no_product() {
        for item in [
            "#[cfg(test)] mod t { static X: u8 = 0; }",
            "#[cfg(all(test, not(loom)))] #[inline] fn f<A, B>(a: A) -> Vec<B> { g() }",
            "#[cfg(any(test, fuzzing))] pub(crate) use fuzz::run;",
            "#[cfg(any(all(test, not(loom)), fuzzing))] mod oracle;",
            "#[test] fn t() {}",
            "#[cfg(test)] impl<T> S<T> where T: A, S<T>: B { fn f() {} }",
            "#[cfg(not(not(test)))] fn f() {}",
        ] {
            let source = Source::new("src/x.rs", &format!("{item} fn kept() {{}}"));
            assert_eq!(idents(&source.product), ["fn", "kept"], "{item}");
        }
        let field = Source::new("src/x.rs", "struct S { #[cfg(test)] n: Map<u8, fn(u8) -> u8>, m: u8 }");
        assert_eq!(idents(&field.product), ["struct", "S", "m", "u8"]);
        assert!(Source::new("src/x.rs", "#![cfg(test)] fn f() {}").product.is_empty());
    }

    #[test]
    fn what_other_builds_compile_is_product() {
        for item in [
            "#[cfg(not(test))] fn f() {}",
            "#[cfg(loom)] fn f() {}",
            "#[cfg(any(test, loom))] fn f() {}",
            "#[cfg(any(test, feature = \"internals\"))] fn f() {}",
            "#[cfg_attr(test, inline)] fn f() {}",
        ] {
            let source = Source::new("src/x.rs", item);
            assert!(idents(&source.product).ends_with(&["fn".into(), "f".into()]), "{item}");
        }
    }

    #[test]
    fn files_of_test_modules_have_no_product() {
        let mut sources = [
            Source::new("src/p2p/mod.rs", "mod a; #[cfg(test)] mod t;"),
            Source::new("src/p2p/a.rs", "fn f() {}"),
            Source::new("src/p2p/t.rs", "fn f() {}"),
            Source::new("src/p2p/t/deeper.rs", "fn f() {}"),
        ];
        drop_test_files(&mut sources);
        assert_eq!(sources.map(|source| source.product.is_empty()), [false, false, true, true]);
    }

    #[test]
    fn files_map_to_modules() {
        assert!(module("src/lib.rs").is_empty());
        assert_eq!(module("src/p2p/mod.rs"), ["p2p"]);
        assert_eq!(module("src/p2p/matching.rs"), ["p2p", "matching"]);
        assert_eq!(module("src/bin/ringmpi/main.rs"), ["bin", "ringmpi"]);
    }
}
