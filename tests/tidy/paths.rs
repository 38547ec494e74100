//! Every path that a file names: in `use` trees, types, expressions, visibilities and macros.

use super::source::{Kind, Source, Token};
use proc_macro2::Delimiter;

#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) line: usize,
    /// As written, with the braces of a `use` tree multiplied out: `["crate", "sync", "Ordering"]`.
    pub(crate) segments: Vec<String>,
    /// Whether it is in a `use` or `extern crate` declaration.
    pub(crate) imported: bool,
    /// The module that it is written in.
    module: Vec<String>,
}

impl Path {
    /// The path from the crate's root, if it starts with `crate`, `self` or `super`.
    pub(crate) fn absolute(&self) -> Option<Vec<String>> {
        let first = self.segments.first()?.as_str();
        let mut names = match first {
            "self" | "super" => self.module.clone(),
            "crate" => Vec::new(),
            _ => return None,
        };
        for segment in &self.segments {
            match segment.as_str() {
                "self" | "crate" => {}
                "super" => _ = names.pop(),
                name => names.push(name.into()),
            }
        }
        Some(names)
    }

    pub(crate) fn has_pair(&self, first: &str, second: &str) -> bool {
        self.segments.windows(2).any(|pair| pair == [first, second])
    }
}

pub(crate) fn paths(source: &Source, tokens: &[Token]) -> Vec<Path> {
    let mut scan = Scan { module: source.module.clone(), imported: false, found: Vec::new() };
    scan.tokens(tokens);
    scan.found
}

struct Scan {
    module: Vec<String>,
    imported: bool,
    found: Vec<Path>,
}

impl Scan {
    fn tokens(&mut self, tokens: &[Token]) {
        let mut at = 0;
        while at < tokens.len() {
            at += self.step(&tokens[at..]);
        }
    }

    /// Records what the tokens start with. Returns how many that was.
    fn step(&mut self, tokens: &[Token]) -> usize {
        let word = |at: usize| tokens.get(at).and_then(Token::ident);
        match (word(0), word(1), tokens.get(1), tokens.get(2)) {
            (Some("mod"), Some(name), _, Some(body)) if body.group(Delimiter::Brace).is_some() => {
                self.inline_module(name, body);
                3
            }
            (Some("extern"), Some("crate"), _, Some(name)) => {
                self.extern_crate(name);
                3
            }
            // Not the `use<…>` of a bound.
            (Some("use"), _, Some(tree), _) if !tree.is('<') => {
                self.imported = true;
                let taken = self.tree(&tokens[1..], &[]);
                self.imported = false;
                1 + taken
            }
            (Some(_), _, Some(colon), _) if colon.is(':') => self.tree(tokens, &[]),
            _ => {
                self.tokens(any_group(&tokens[0]).unwrap_or_default());
                1
            }
        }
    }

    fn inline_module(&mut self, name: &str, body: &Token) {
        self.module.push(name.into());
        self.tokens(any_group(body).unwrap_or_default());
        self.module.pop();
    }

    fn extern_crate(&mut self, name: &Token) {
        let root = match name.ident() {
            Some("self") | None => "crate",
            Some(name) => name,
        };
        let segments = vec![root.into()];
        self.found.push(Path { line: name.line, segments, imported: true, module: self.module.clone() });
    }

    /// Records the path or `use` tree that the tokens start with, behind `prefix`. Returns how many tokens
    /// it took.
    fn tree(&mut self, tokens: &[Token], prefix: &[String]) -> usize {
        let mut segments = prefix.to_vec();
        let mut at = if starts_with_colons(tokens) { 2 } else { 0 };
        while let Some(token) = tokens.get(at) {
            if let Some(branches) = token.group(Delimiter::Brace) {
                branches.split(|token| token.is(',')).for_each(|branch| _ = self.tree(branch, &segments));
                return at + 1;
            }
            match token.ident() {
                Some(name) => segments.push(name.into()),
                None if token.is('*') => segments.push("*".into()),
                None => break,
            }
            at += 1;
            if !starts_with_colons(&tokens[at..]) {
                break;
            }
            at += 2;
        }
        // A lone name outside `use` is a field, a variable, a label before a type: no path.
        if segments.len() > prefix.len() && (segments.len() > 1 || self.imported) {
            let line = tokens[0].line;
            self.found.push(Path { line, segments, imported: self.imported, module: self.module.clone() });
        }
        at.max(1)
    }
}

fn starts_with_colons(tokens: &[Token]) -> bool {
    matches!(tokens, [first, second, ..] if first.is(':') && second.is(':'))
}

fn any_group(token: &Token) -> Option<&[Token]> {
    match &token.kind {
        Kind::Group(_, tokens) => Some(tokens),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<String> {
        let source = Source::new("src/p2p/send.rs", text);
        let mut named: Vec<_> =
            paths(&source, &source.tokens).iter().map(|path| path.segments.join("::")).collect();
        named.sort();
        named
    }

    #[test]
    fn use_trees_are_multiplied_out() {
        let text = "use crate::{sync::{self, Ordering}, shm::*, world as w}; use loom; use ::std::fmt; fn f() -> ::core::x::Y {}";
        let expected = [
            "core::x::Y",
            "crate::shm::*",
            "crate::sync::Ordering",
            "crate::sync::self",
            "crate::world",
            "loom",
            "std::fmt",
        ];
        assert_eq!(named(text), expected);
    }

    #[test]
    fn paths_count_wherever_they_stand() {
        for text in [
            "fn f() { crate::world::init(); }",
            "type T = Vec<crate::world::World>;",
            "fn f() { Vec::<crate::world::World>::new(); }",
            "fn f() -> impl Sized + use<> { crate::world::init() }",
            "fn f() -> crate::world::World { <S as T>::f() }",
            "m!(use a, crate::world::World);",
            "macro_rules! m { () => { $crate::world::init() }; }",
            "fn f() { assert!(g(&[crate::world::init()])); }",
            "impl<T: crate::world::World> S for T {}",
            "fn f() { let x: crate::world::World; }",
            "struct S { field: crate::world::World }",
            "pub(in crate::world) fn f() {}",
            "#[derive(crate::world::World)] struct S;",
        ] {
            assert!(
                named(text).iter().any(|path| path.starts_with("crate::world")),
                "{text}: {:?}",
                named(text)
            );
        }
    }

    #[test]
    fn relative_paths_resolve_from_the_module_that_they_stand_in() {
        let text = "use super::peers; mod inner { use super::super::super::world; use self::x::Y; }";
        let source = Source::new("src/p2p/send.rs", text);
        let resolved: Vec<_> = paths(&source, &source.tokens)
            .iter()
            .map(|path| path.absolute().expect("each starts with super or self").join("::"))
            .collect();
        assert_eq!(resolved, ["p2p::peers", "world", "p2p::send::inner::x::Y"]);
    }

    #[test]
    fn lines_are_those_of_the_text() {
        let source = Source::new("src/x.rs", "//! Doc.\n\nfn f() {\n    crate::a::b()\n}\n");
        assert_eq!(paths(&source, &source.tokens)[0].line, 4);
    }
}
