//! Rules of the source that neither rustc nor clippy knows. Each is a test; a finding names the file,
//! the line and what to do. A second test a rule feeds it what it must refuse and what it must accept.
//!
//! # Layers
//!
//! A top-level module may name
//! - itself,
//! - every module of a lower layer in [`LAYERS`],
//! - the other modules of its own layer, if that is marked `peers`.
//!
//! `launch` stands beside `world`: it names only [`LAUNCH_USES`], and only `run` names it; `world` names
//! its contract with ranks, [`LAUNCH_CONTRACT`]. The roots
//! (`lib.rs`, `internals`, `bin`) may name everything and nobody names them: a path through a re-export
//! in `lib.rs` would hide which module is used. Test code keeps to the same rule.

#[path = "tidy/documented.rs"]
mod documented;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/source.rs"]
mod source;

use paths::{Path, paths};
use source::{Kind, Source, Token};
use std::fmt::Write;

struct Layer {
    modules: &'static [&'static str],
    /// Whether they may use one another.
    peers: bool,
}

/// From the lowest to the highest.
const LAYERS: &[Layer] = &[
    Layer { modules: &["sync", "types", "error"], peers: true },
    Layer { modules: &["sys"], peers: false },
    Layer { modules: &["shm"], peers: false },
    Layer { modules: &["envelope", "status", "datatype", "op", "buffer"], peers: true },
    Layer { modules: &["p2p"], peers: false },
    Layer { modules: &["group", "communicator", "topology"], peers: true },
    Layer { modules: &["coll"], peers: false },
    Layer { modules: &["constructors"], peers: false },
    Layer { modules: &["world", "join"], peers: true },
    Layer { modules: &["run"], peers: false },
];
const LAUNCH_USES: &[&str] = &["types", "error", "sys", "shm"];
const LAUNCH_USERS: &[&str] = &["run"];
/// What a launcher tells its ranks: both sides read it.
const LAUNCH_CONTRACT: [&str; 2] = ["launch", "env"];
const ROOTS: &[&str] = &["internals", "bin"];

const UNSAFE_MODULES: &[&str] = &["sync", "sys", "shm", "buffer"];
const DYN_ALLOWED: &[&str] = &[];
const LINES_MAX: usize = 800;
/// Files whose `pub` is not for users.
const NOT_FOR_USERS: &[&str] = &["internals", "bin", "launch"];

/// Public items to which nothing in the standard corresponds: the file, and which.
const WITHOUT_STANDARD: &[(&str, &[&str])] = &[
    // Their types name the arguments that they stand for.
    ("src/coll/partition.rs", &["new", "with_displacements"]),
    ("src/op/located.rs", &["new"]),
    // How a buffer is taken apart, and what comes back of an operation.
    ("src/buffer/typed.rs", &["Item", "into_parts", "from_parts"]),
    ("src/communicator/several.rs", &["Buffer"]),
    // Futures.
    ("src/communicator/block_on.rs", &["block_on"]),
    ("src/communicator/scope.rs", &["ScopedFuture"]),
    ("src/communicator/persistent.rs", &["completion", "buffer_mut"]),
    ("src/communicator/persistent_collective.rs", &["completion", "input_mut", "output_mut"]),
    // What a value tells of itself.
    ("src/communicator/process.rs", &["rank"]),
    ("src/error.rs", &["Result", "as_truncated", "code"]),
    // How a process becomes a rank is left to implementations.
    ("src/join.rs", &["join"]),
    ("src/run.rs", &["run", "threads"]),
];

/// How far above an ordering its comment may begin.
const COMMENT_REACH: usize = 6;

/// A line and what is wrong there.
type Finding = (usize, String);
type Rule = fn(&Source) -> Vec<Finding>;

/// Runs a rule over all of `src/` and reports everything that it finds.
fn check(rule: Rule, remedy: &str) {
    let mut report = String::new();
    for source in source::all() {
        for (line, what) in rule(&source) {
            writeln!(report, "{}:{line}: {what}", source.file).expect("a String takes everything");
        }
    }
    assert!(report.is_empty(), "\n{report}help: {remedy}\n");
}

fn assert_refuses(rule: Rule, file: &str, snippets: &[&str]) {
    for text in snippets {
        assert!(!rule(&Source::new(file, text)).is_empty(), "not refused in {file}: {text}");
    }
}

fn assert_accepts(rule: Rule, file: &str, snippets: &[&str]) {
    for text in snippets {
        assert_eq!(rule(&Source::new(file, text)), [], "refused in {file}: {text}");
    }
}

// Layers

#[test]
fn modules_use_only_the_layers_below_them() {
    check(
        layering,
        "use a lower layer, or move what both need below them; the table is LAYERS in tests/tidy.rs",
    );
}

fn layering(source: &Source) -> Vec<Finding> {
    let Some(user) = source.top().filter(|user| !ROOTS.contains(user)) else { return vec![] };
    let mut findings: Vec<Finding> = Vec::new();
    if user != "launch" && layer(user).is_none() {
        findings.push((1, format!("module `{user}` has no layer")));
    }
    for path in paths(source, &source.tokens) {
        let Some(absolute) = path.absolute() else { continue };
        let used = absolute.first().map_or("", String::as_str);
        let is_contract = user == "world" && absolute.starts_with(&LAUNCH_CONTRACT.map(String::from));
        if !may_use(user, used) && !is_contract {
            findings.push((path.line, format!("`{user}` names `{}`", path.segments.join("::"))));
        }
    }
    findings
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.modules.contains(&module))
}

fn may_use(user: &str, used: &str) -> bool {
    match (user, used) {
        _ if user == used => true,
        ("launch", _) => LAUNCH_USES.contains(&used),
        (_, "launch") => LAUNCH_USERS.contains(&user),
        _ => match (layer(user), layer(used)) {
            (Some(above), Some(below)) => below < above || (below == above && LAYERS[above].peers),
            _ => false,
        },
    }
}

#[test]
fn layering_refuses_what_it_should() {
    assert_refuses(
        layering,
        "src/shm/ring.rs",
        &[
            "use crate::p2p::Engine;",
            "use crate::{sync::fence, p2p};",
            "fn f() { crate::world::init() }",
            "fn f(_: super::super::p2p::Engine) {}",
            "mod inner { use super::super::super::run; }",
            "fn f() { log!(\"{}\", crate::p2p::len()) }",
            "macro_rules! m { () => { $crate::coll::f() } }",
            "use crate::Error;",
            "use crate::*;",
            "use crate as ringmpi;",
            "use super::super::*;",
            "extern crate self as ringmpi;",
            "#[cfg(test)] mod tests { use crate::world; }",
            "use crate::internals::ring;",
        ],
    );
    assert_refuses(
        layering,
        "src/coll/bcast.rs",
        &["use crate::world::Universe;", "use crate::constructors;"],
    );
    assert_refuses(layering, "src/launch/mod.rs", &["use crate::p2p;", "use crate::status::Status;"]);
    assert_refuses(layering, "src/world.rs", &["use crate::launch::spawn;", "use crate::run;"]);
    assert_refuses(layering, "src/manager.rs", &["fn f() {}"]);
}

#[test]
fn layering_accepts_what_it_should() {
    let lower = "use super::chain; use crate::{sync::{self, Ordering}, shm::ring, types::*}; use std::fmt;";
    assert_accepts(
        layering,
        "src/p2p/send.rs",
        &[lower, "use crate::p2p::matching; pub(in crate::p2p) fn f() {}"],
    );
    assert_accepts(layering, "src/error.rs", &["use crate::types::Rank;"]);
    assert_accepts(layering, "src/group.rs", &["use crate::communicator::Communicator;"]);
    assert_accepts(layering, "src/launch/spawn.rs", &["use crate::{sys::fork, shm::segment, launch::env};"]);
    assert_accepts(layering, "src/world.rs", &["use crate::launch::env::Place;"]);
    assert_accepts(layering, "src/run.rs", &["use crate::{launch, world};"]);
    assert_accepts(layering, "src/lib.rs", &["pub use world::World; use crate::launch;"]);
    assert_accepts(layering, "src/internals/ring.rs", &["use crate::shm::ring;"]);
}

// Atomics

#[test]
fn only_sync_names_atomics_cells_and_loom() {
    check(atomics, "import it from crate::sync, so that loom can take its place in a model");
}

fn atomics(source: &Source) -> Vec<Finding> {
    if source.is_in(&["sync"]) {
        return vec![];
    }
    let offends = |path: &Path| {
        path.segments[0] == "loom"
            || [("sync", "atomic"), ("cell", "UnsafeCell")].iter().any(|(a, b)| path.has_pair(a, b))
            || ["std", "core"].contains(&path.segments[0].as_str())
                && [("sync", "*"), ("cell", "*")].iter().any(|(a, b)| path.has_pair(a, b))
    };
    let found = paths(source, &source.tokens).into_iter().filter(offends);
    found.map(|path| (path.line, format!("`{}` outside sync", path.segments.join("::")))).collect()
}

#[test]
fn atomics_refuses_what_it_should() {
    assert_refuses(
        atomics,
        "src/shm/ring.rs",
        &[
            "use std::sync::atomic::AtomicU32;",
            "use std::{fmt, sync::{Arc, atomic::Ordering}};",
            "fn f(_: &::core::sync::atomic::AtomicBool) {}",
            "use std::sync; fn f(_: sync::atomic::AtomicBool) {}",
            "use core::cell::UnsafeCell;",
            "use std::cell; struct S(cell::UnsafeCell<u8>);",
            "use std::sync::*;",
            "fn f() { loom::model(g) }",
            "use loom as l;",
            "extern crate loom;",
            "#[cfg(test)] mod tests { use std::sync::atomic::Ordering; }",
        ],
    );
}

#[test]
fn atomics_accepts_what_it_should() {
    let others = "use std::sync::{Arc, Condvar, Mutex, OnceLock}; use std::cell::{Cell, RefCell};";
    let ours = "use crate::sync::{AtomicU32, Ordering, UnsafeCell}; #[cfg(not(loom))] fn f() {}";
    assert_accepts(
        atomics,
        "src/p2p/engine.rs",
        &[others, ours, "/// Like [`std::sync::atomic`].\nfn f() {}"],
    );
    assert_accepts(atomics, "src/sync.rs", &["use core::sync::atomic::fence; use loom::thread;"]);
}

// Unsafe

#[test]
fn unsafe_stays_in_the_modules_that_own_raw_memory() {
    check(unsafe_code, "build on the safe types of sync, sys, shm or buffer, or add what is missing there");
}

fn unsafe_code(source: &Source) -> Vec<Finding> {
    if source.is_in(UNSAFE_MODULES) {
        return vec![];
    }
    idents(&source.tokens, |_, name| name == "unsafe")
}

#[test]
fn unsafe_code_refuses_and_accepts_what_it_should() {
    let bad = ["unsafe fn f() {}", "fn f() { m!(unsafe { g() }) }", "unsafe impl Send for S {}"];
    assert_refuses(unsafe_code, "src/p2p/send.rs", &bad);
    assert_refuses(unsafe_code, "src/lib.rs", &bad);
    assert_accepts(unsafe_code, "src/lib.rs", &["#![deny(unsafe_code)]", "/// Not unsafe.\nfn f() {}"]);
    assert_accepts(unsafe_code, "src/shm/ring.rs", &bad);
}

// Global state

#[test]
fn there_is_no_global_state() {
    check(global_state, "hang it off the Engine: several ranks may live in one process");
}

fn global_state(source: &Source) -> Vec<Finding> {
    let is_lifetime = |before: &[Token]| before.last().is_some_and(|token| token.is('\''));
    idents(&source.product, |before, name| name == "thread_local" || name == "static" && !is_lifetime(before))
}

#[test]
fn global_state_refuses_and_accepts_what_it_should() {
    let bad = [
        "static X: u8 = 0;",
        "fn f() { static mut X: u8 = 0; }",
        "std::thread_local! { static X: u8 = 0 }",
        "lazy_static! { pub static ref X: u8 = 0; }",
    ];
    assert_refuses(global_state, "src/world.rs", &bad);
    let good = ["const X: &'static str = \"static\";", "#[cfg(test)] mod tests { static X: u8 = 0; }"];
    assert_accepts(global_state, "src/world.rs", &good);
}

// Dynamic calls

#[test]
fn nothing_is_dynamic_between_the_api_and_the_ring() {
    check(dynamic, "use a closed enum");
}

fn dynamic(source: &Source) -> Vec<Finding> {
    if !source.is_in(&["p2p", "shm"]) || DYN_ALLOWED.contains(&source.file.as_str()) {
        return vec![];
    }
    idents(&source.product, |_, name| name == "dyn")
}

#[test]
fn dynamic_refuses_and_accepts_what_it_should() {
    let bad = ["fn f(_: &dyn Fn()) {}", "type T = Box<dyn Send>;", "fn f() { m!(x as &dyn T) }"];
    assert_refuses(dynamic, "src/p2p/mod.rs", &bad);
    assert_refuses(dynamic, "src/shm/ring.rs", &bad);
    assert_accepts(dynamic, "src/launch/plan.rs", &bad);
    assert_accepts(dynamic, "src/p2p/mod.rs", &["#[test] fn t() { let f: Box<dyn Fn()>; }"]);
}

// Files

#[test]
fn files_are_short_and_say_what_they_are() {
    check(shape, "split the file by ideas; begin it with one `//!` sentence");
}

fn shape(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    let mut findings = Vec::new();
    if lines > LINES_MAX {
        findings.push((lines, format!("{lines} lines, more than {LINES_MAX}")));
    }
    if !source.text.starts_with("//! ") {
        findings.push((1, "the first line is no `//!` comment".into()));
    }
    findings
}

#[test]
fn shape_refuses_and_accepts_what_it_should() {
    let long = |lines: usize| format!("//! Long.\n{}", "\n".repeat(lines - 1));
    assert_refuses(shape, "src/world.rs", &["", "fn f() {}", "// A file.", "\n//! Late.", &long(801)]);
    assert_accepts(shape, "src/world.rs", &["//! Short.", &long(800)]);
}

// Words

#[test]
fn nothing_volatile_unfinished_or_local_to_one_machine() {
    check(words, "atomics, MmapRaw, a finished function, a relative path, four spaces");
}

fn words(source: &Source) -> Vec<Finding> {
    let mut findings = idents(&source.tokens, |_, name| {
        name.contains("volatile") || ["MmapMut", "todo", "unimplemented"].contains(&name)
    });
    for (number, line) in (1..).zip(source.text.lines()) {
        let local = ["/home/", "/Users/", "/root/", "/work/"].iter().find(|path| line.contains(**path));
        findings.extend(local.map(|path| (number, format!("`{path}…` is a path of one machine"))));
        if line.contains('\t') {
            findings.push((number, "a tab".into()));
        }
    }
    findings
}

#[test]
fn words_refuses_and_accepts_what_it_should() {
    assert_refuses(
        words,
        "src/shm/segment.rs",
        &[
            "fn f() { p.read_volatile() }",
            "use std::ptr::write_volatile;",
            "use memmap2::MmapMut;",
            "fn f() { todo!() }",
            "fn f() { core::unimplemented!(\"later\") }",
            "// See /home/somebody/notes.",
            "const P: &str = \"/work/x\";",
            "fn f() {\n\tg()\n}",
        ],
    );
    assert_accepts(words, "src/shm/segment.rs", &["/// Not volatile.\nfn f() -> MmapRaw { \"/tmp/x\" }"]);
}

// Orderings

#[test]
fn every_weak_ordering_names_its_partner() {
    check(
        orderings,
        "say beside it, or just above, by its name (`Relaxed: …`, `Release: RING_ROOM, …`) what it pairs with, \
         or why it needs nothing",
    );
}

fn orderings(source: &Source) -> Vec<Finding> {
    let lines: Vec<_> = source.text.lines().collect();
    let mut findings = Vec::new();
    for path in paths(source, &source.product) {
        let name = path.segments.join("::");
        if path.imported && path.has_pair("Ordering", "*") {
            findings.push((path.line, format!("`{name}` hides orderings")));
        }
        let weak = ["Relaxed", "Acquire", "Release", "AcqRel"];
        let Some(ordering) = weak.into_iter().find(|weak| path.has_pair("Ordering", weak)) else { continue };
        if path.imported {
            findings.push((path.line, format!("`{name}` is imported: write it out where it is used")));
        } else if !is_explained(&lines, path.line, ordering) {
            findings.push((path.line, format!("`{name}` without a comment")));
        }
    }
    findings
}

/// Whether a comment on the line or just above it names the ordering or a pair, and does not only argue for
/// safety.
fn is_explained(lines: &[&str], line: usize, ordering: &str) -> bool {
    lines[line.saturating_sub(1 + COMMENT_REACH)..line]
        .iter()
        .filter_map(|line| line.split_once("//"))
        .filter(|(_, comment)| !comment.trim_start().starts_with("SAFETY"))
        .any(|(_, comment)| comment.contains(ordering) || names_a_pair(comment))
}

/// Pairs have names such as `RING_ROOM`.
fn names_a_pair(comment: &str) -> bool {
    let mut words = comment.split(|letter: char| !letter.is_ascii_uppercase() && letter != '_');
    words.any(|word| word.trim_matches('_').contains('_'))
}

#[test]
fn orderings_refuses_and_accepts_what_it_should() {
    let far = format!(
        "// RING_ROOM: a pair.\n{}fn f() {{ x.load(Ordering::Acquire) }}",
        "\n".repeat(COMMENT_REACH)
    );
    let near = far.replacen("\n\n", "\n", 1);
    assert_refuses(
        orderings,
        "src/shm/ring.rs",
        &[
            "fn f() { x.load(Ordering::Relaxed) }",
            "fn f() { m!(x.store(1, crate::sync::Ordering::Release)) }",
            "// SAFETY: it is there (AcqRel).\nfn f() { x.swap(1, Ordering::AcqRel) }",
            "// A comment on something else.\nfn f() { x.swap(1, Ordering::AcqRel) }",
            "// A comment.\nuse crate::sync::Ordering::{self, Relaxed};",
            "// A comment.\nuse crate::sync::Ordering::*;",
            &far,
        ],
    );
    assert_accepts(
        orderings,
        "src/shm/ring.rs",
        &[
            "fn f() { x.load(Ordering::SeqCst) }",
            "fn f() { x.load(Ordering::Acquire) } // RING_PUBLISH: pairs with the Release in send",
            "#[cfg(test)] mod tests { fn f() { x.load(Ordering::Relaxed) } }",
            &near,
        ],
    );
    assert_refuses(orderings, "src/p2p/send.rs", &["fn f() { x.load(Ordering::Relaxed) }"]);
}

// Documentation

#[test]
fn public_items_have_an_example_and_say_how_they_fail_and_what_they_are_in_the_standard() {
    check(
        documentation,
        "add an example that compiles, `# Errors` to what returns a Result, and `# Standard` with the section; what \
         the standard does not have is in WITHOUT_STANDARD",
    );
}

fn documentation(source: &Source) -> Vec<Finding> {
    if source.is_in(NOT_FOR_USERS) {
        return vec![];
    }
    let has_no_counterpart = |name: &str| {
        WITHOUT_STANDARD.iter().any(|(file, names)| source.file == *file && names.contains(&name))
    };
    let mut findings = Vec::new();
    for item in documented::items(&source.text) {
        let name = item.name.as_str();
        if item.returns_result && !item.has_errors {
            findings.push((item.line, format!("`{name}` has no `# Errors`")));
        }
        if !item.has_standard && !has_no_counterpart(name) {
            findings.push((item.line, format!("`{name}` has no `# Standard`")));
        }
        if !item.has_example {
            findings.push((item.line, format!("`{name}` has no example")));
        }
    }
    findings
}

#[test]
fn documentation_refuses_and_accepts_what_it_should() {
    let example = "/// ```\n/// f();\n/// ```\n";
    let standard = "/// # Standard\n";
    let shown = format!("/// It is shown.\n{example}{standard}");
    assert_refuses(
        documentation,
        "src/world.rs",
        &[
            "/// It does.\npub fn f() {}",
            &format!("/// It does.\n{example}pub fn f() {{}}"),
            &format!("{standard}pub const unsafe fn f() {{}}"),
            &format!("{example}pub const unsafe fn f() {{}}"),
            &format!("{standard}#[derive(Clone)]\npub struct S;"),
            &format!("{example}#[derive(Clone)]\npub struct S;"),
            &format!("{standard}#[a(\n    b = \"c\",\n)]\npub enum E {{}}"),
            &format!("{standard}pub type T = u8;"),
            &format!("{standard}pub const C: u8 = 0;"),
            &format!("{standard}pub unsafe trait T {{}}"),
            // In an example of something else it has none of its own.
            &format!("{shown}pub struct S;\nimpl S {{\n    {standard}    pub fn f() {{}}\n}}"),
            &format!("/// ```compile_fail,E0277\n/// f();\n/// ```\n{standard}pub fn f() {{}}"),
            &format!("/// ```text\n/// ```\n{standard}pub fn f() {{}}"),
            &format!("{shown}pub fn f() -> Result<()> {{}}"),
            &format!("{shown}pub fn f(\n    a: u8,\n) -> Result<()> {{}}"),
            &format!("{shown}pub trait T {{\n    /// It does.\n    fn f(&self);\n}}"),
            &format!("{shown}pub unsafe trait T {{\n    /// It does.\n    unsafe fn f(&self);\n}}"),
            &format!("{shown}pub trait T {{\n    /// It is.\n    type U;\n}}"),
        ],
    );
    assert_accepts(
        documentation,
        "src/world.rs",
        &[
            &format!("{shown}pub fn f() {{}}\n/// It does.\nfn g() -> Result<()> {{}}"),
            &format!(
                "{shown}#[a(\n    b = \"c\",\n)]\npub struct S {{\n    /// A field.\n    pub f: u8,\n}}"
            ),
            &format!("{shown}pub trait T: U {{}}\n/// It is.\ntype V = u8;"),
            &format!("{shown}pub type T = u8;\n{shown}pub const C: u8 = 0;"),
            &format!("{example}/// # Errors\n/// None.\n{standard}pub fn f() -> Result<()> {{}}"),
            &format!("/// ```no_run\n/// ```\n{standard}pub fn f() {{}}"),
            &format!("/// ```compile_fail\n/// ```\n{shown}pub fn f() {{}}"),
            "/// It does.\n#[doc(hidden)]\npub fn f() {}",
            "/// It does.\npub(crate) fn f() -> Result<()> {}",
        ],
    );
    assert_accepts(documentation, "src/run.rs", &[&format!("{example}pub fn run() {{}}")]);
    assert_accepts(documentation, "src/launch/mod.rs", &["/// It does.\npub fn f() {}"]);
}

// The whole

#[test]
fn every_module_of_a_layer_is_a_name_that_the_crate_may_have() {
    let known: Vec<_> = LAYERS.iter().flat_map(|layer| layer.modules).collect();
    for (at, module) in known.iter().enumerate() {
        assert!(!known[..at].contains(module), "`{module}` has two layers");
    }
    for module in UNSAFE_MODULES.iter().chain(LAUNCH_USES).chain(LAUNCH_USERS) {
        assert!(known.contains(&module), "`{module}` has no layer");
    }
}

/// The identifiers, at any depth, that `offends` picks, given what stands before each in its group.
fn idents(tokens: &[Token], offends: impl Copy + Fn(&[Token], &str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match &token.kind {
            Kind::Ident(name) if offends(&tokens[..at], name) => {
                findings.push((token.line, format!("`{name}`")));
            }
            Kind::Group(_, inner) => findings.extend(idents(inner, offends)),
            _ => {}
        }
    }
    findings
}
