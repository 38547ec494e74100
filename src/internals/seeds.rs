//! Seeds of the fuzz targets: inputs that are worth something, where random bytes seldom are. They lie in
//! `fuzz/seeds`, where fuzzing starts from them; an ignored test here writes them.

use crate::{datatype, launch, p2p};
use std::{collections::BTreeMap, fs, path::PathBuf};

/// Inputs by their names.
type Seeds = BTreeMap<String, Vec<u8>>;

struct Target {
    name: &'static str,
    body: fn(&[u8]),
    seeds: Seeds,
}

impl Target {
    fn folder(&self) -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "fuzz", "seeds", self.name].iter().collect()
    }

    fn on_disk(&self) -> Seeds {
        let files = fs::read_dir(self.folder()).unwrap().map(|file| file.unwrap());
        files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
    }
}

fn targets() -> [Target; 4] {
    [
        Target { name: "datatype", body: datatype::fuzz::fuzz, seeds: datatypes() },
        Target { name: "matching", body: p2p::matching::fuzz, seeds: queues() },
        Target { name: "packet", body: p2p::packet::fuzz, seeds: packets() },
        Target { name: "plan", body: launch::plan::fuzz, seeds: command_lines() },
    ]
}

fn named<const N: usize>(seeds: [(&str, Vec<u8>); N]) -> Seeds {
    let seeds = seeds.map(|(name, bytes)| (name.to_owned(), bytes));
    let (given, seeds) = (seeds.len(), Seeds::from(seeds));
    assert_eq!(seeds.len(), given, "two seeds have one name");
    seeds
}

/// A cell of every kind: the first word's upper half, and the seven words behind it.
fn packets() -> Seeds {
    const SYNCHRONOUS: u32 = 1 << 16;
    const REQUEST: u64 = 3 << 32 | 5;
    const BLOCK: u64 = 7 << 32 | 1030;
    let cell = |head: u32, words: [u64; 7]| {
        head.to_le_bytes().into_iter().chain(words.into_iter().flat_map(u64::to_le_bytes)).collect()
    };
    let (tag, source) = (9 << 32 | 64, 2);
    let message = |kind: u32, words: [u64; 4]| {
        let [a, b, c, d] = words;
        cell(kind, [tag, source, a, b, c, d, REQUEST])
    };
    let answer = |kind: u32, words: [u64; 3]| cell(kind, [REQUEST, 0, words[0], words[1], words[2], 0, 0]);
    named([
        ("eager-empty", message(1, [0; 4])),
        ("eager-full", message(1 | 40 << 8, [1, 2, 3, 4])),
        ("eager-too-long", message(1 | 41 << 8, [1, 2, 3, 4])),
        ("eager-synchronous", message(1 | 32 << 8 | SYNCHRONOUS, [1, 2, 3, 4])),
        ("in-block", message(2, [BLOCK, 2048, 0, 0])),
        ("in-block-synchronous", message(2 | SYNCHRONOUS, [BLOCK, 2048, 0, 0])),
        ("stream", message(3 | SYNCHRONOUS, [BLOCK, 65_536, 0, 0])),
        ("piece", message(4, [BLOCK, 16_384, 0, 0])),
        ("rts-unreachable", message(5 | SYNCHRONOUS, [1 << 20, 0, 0, 0])),
        ("rts-private", message(5 | SYNCHRONOUS, [1 << 20, 1, 0x7f00_0000_1000, 0])),
        ("rts-arena", message(5 | SYNCHRONOUS, [1 << 20, 2, 0x7f00_0000_1000, 4096])),
        ("rts-nowhere", message(5 | SYNCHRONOUS, [1 << 20, 3, 0, 0])),
        ("cts", answer(6, [REQUEST, 1 << 18, 3])),
        ("data", answer(7, [BLOCK, 32_768, 1500])),
        ("fin", answer(8, [0; 3])),
        ("no-kind", answer(0, [0; 3])),
        ("unknown-kind", answer(9, [0; 3])),
    ])
}

/// Arguments with NUL between them.
fn command_lines() -> Seeds {
    let line = |text: &str| text.replace(' ', "\0").into_bytes();
    named([
        ("program", line("prog")),
        ("arguments", line("prog -n 3 --help")),
        ("n", line("-n 4 prog")),
        ("np-joined", line("--np=4096 prog")),
        ("auto", line("-NP auto prog a b")),
        ("last-counts", line("-n 2 -np 3 prog")),
        ("end-of-options", line("-n 2 -- --odd -n 3")),
        ("too-many", line("-n 4097 prog")),
        ("none", line("-n 0 prog")),
        ("no-value", line("-n")),
        ("no-program", line("-n 4 --")),
        ("several-programs", line("-n 1 a : -n 1 b")),
        ("help", line("--HELP")),
        ("version", line("-n 2 -V")),
        ("unknown", line("--frobnicate prog")),
        ("empty-argument", line("-n  prog")),
        ("not-utf8", b"-n\x002\0prog\0-\xff".to_vec()),
    ])
}

/// Operations on the queues of matching, in both.
fn queues() -> Seeds {
    const TAKE: u8 = 5;
    const BY_ID: u8 = 6;
    const LOOK: u8 = 7;
    const ANY_SOURCE: u8 = 0x08;
    const ANY_TAG: u8 = 0x10;
    const UNEXPECTED: u8 = 0x80;
    const FEW_KEYS: u8 = 1;
    /// More than a queue searches before it is indexed.
    const DEEP: u8 = 60;
    let wildcards = [0, ANY_SOURCE, ANY_TAG, ANY_SOURCE | ANY_TAG];
    let all = |control: u8| (0..DEEP).map(move |key| [control, key % 4, key, 0]);
    let backwards = |control: u8| (0..DEEP).rev().map(move |key| [control, key % 4, key, 0]);
    let by_id = |control: u8| (0..DEEP).step_by(3).map(move |number| [control, 0, number, 0]);
    let steps = |shape: u8, queue: u8, steps: Vec<[u8; 4]>| {
        let controls = steps.into_iter().map(|[control, a, b, c]| [control | queue, a, b, c]);
        [shape].into_iter().chain(controls.flatten()).collect::<Vec<u8>>()
    };
    let mut seeds = Seeds::new();
    for (queue, name) in [(0, "posted"), (UNEXPECTED, "unexpected")] {
        let mut add = |what: &str, shape, list| {
            seeds.insert(format!("{name}-{what}"), steps(shape, queue, list));
        };
        add("in-order", 0, all(0).chain(all(TAKE)).collect());
        add("last-first", 0, all(0).chain(backwards(TAKE)).collect());
        add("by-id", 0, all(0).chain(by_id(BY_ID)).chain(all(LOOK)).chain(all(TAKE)).collect());
        add("twice", 0, [0, TAKE, 0, TAKE].into_iter().flat_map(all).collect());
        let mixed = |control: u8| {
            (0..DEEP).map(move |key| [control | wildcards[usize::from(key % 4)], key % 3, key % 5, key % 2])
        };
        add("wildcards", 0, mixed(0).chain(mixed(LOOK)).chain(mixed(TAKE)).chain(by_id(BY_ID)).collect());
        let marks = |control: u8| {
            (0..DEEP).map(move |key| [control | wildcards[usize::from(key % 4)], key % 3, 0, 1 | key << 4])
        };
        add("marks", FEW_KEYS, marks(0).chain(marks(LOOK)).chain(marks(TAKE)).collect());
        add("few-keys", FEW_KEYS, mixed(0).chain(by_id(BY_ID)).chain(mixed(TAKE)).collect());
    }
    seeds
}

/// Type maps, as `datatype::fuzz` decodes them, and then bytes that say how cursors walk over them.
fn datatypes() -> Seeds {
    let number = |number: i8| vec![number.cast_unsigned().wrapping_add(10)];
    let [byte, int, double] = [(1, 0), (4, 2), (8, 3)].map(|(size, align)| vec![0, size, align]);
    let with = |kind: &[u8], numbers: &[i8], child: &[u8]| {
        let numbers = numbers.iter().flat_map(|&value| number(value));
        kind.iter().copied().chain(numbers).chain(child.iter().copied()).collect::<Vec<u8>>()
    };
    let vector = |count, len, stride, child: &[u8]| with(&[4, count, len], &[stride], child);
    let hvector = |count, len, stride, child: &[u8]| with(&[5, count, len], &[stride], child);
    let blocks = |kind: u8, list: &[(i8, u8)], child: &[u8]| {
        let list_bytes = list.iter().flat_map(|&(at, count)| [number(at), vec![count]].concat());
        [kind, list.len() as u8]
            .into_iter()
            .chain(list_bytes)
            .chain(child.iter().copied())
            .collect::<Vec<u8>>()
    };
    let (indexed, hindexed) =
        (|list: &_, child: &_| blocks(6, list, child), |list: &_, child: &_| blocks(7, list, child));
    let structure = |members: [(i8, u8, &[u8]); 3]| {
        let member = |(at, count, child): (i8, u8, &[u8])| with(&[], &[at], &[&[count], child].concat());
        [8].into_iter().chain(members.into_iter().flat_map(member)).collect::<Vec<u8>>()
    };
    let resized = |lower, extent, child: &[u8]| with(&[10], &[lower, extent], child);
    let nested = vector(3, 2, 4, &structure([(0, 1, &int), (8, 2, &double), (4, 1, &byte)]));
    let largest = [255, 0];
    let maps = named([
        ("basic", double.clone()),
        ("bytes", vec![2, 3]),
        ("contiguous", [&[3, 4], &int[..]].concat()),
        ("vector", vector(4, 1, 2, &double)),
        ("vector-backwards", vector(3, 2, -3, &int)),
        ("vector-overlapping", hvector(4, 2, 3, &int)),
        ("vector-of-nothing", vector(0, 3, 5, &int)),
        ("hvector-unaligned", hvector(4, 1, 9, &double)),
        ("indexed", indexed(&[(4, 1), (0, 2), (9, 1)], &int)),
        ("indexed-empty-blocks", indexed(&[(0, 0), (3, 1), (5, 0)], &double)),
        ("indexed-none", indexed(&[], &int)),
        ("hindexed", hindexed(&[(-6, 1), (7, 3)], &int)),
        ("structure", structure([(0, 1, &int), (8, 2, &double), (-4, 1, &byte)])),
        ("structure-nested", structure([(0, 1, &nested), (20, 0, &double), (3, 2, &byte)])),
        ("resized", vector(3, 1, 2, &resized(-3, 9, &int))),
        ("resized-to-nothing", [&[3, 4], &resized(0, 0, &double)[..]].concat()),
        ("nested", indexed(&[(1, 2), (-4, 1)], &nested)),
        ("deep", vector(2, 1, 3, &vector(2, 1, 3, &vector(2, 1, 3, &vector(2, 1, 3, &double))))),
        ("huge-contiguous", [&[3, 254, 40], &nested[..]].concat()),
        ("huge-vector", [&[4, 254, 30, 1, 253, 20], &int[..]].concat()),
        ("too-large", [&[3], &largest[..], &[3], &largest[..], &double[..]].concat()),
        ("farthest", [&[5, 2, 1], &largest[..], &byte[..]].concat()),
    ]);
    let walks = |(name, map): (String, Vec<u8>)| {
        // A count of elements, then eight walks: where each begins, and how much each piece may have.
        let walk = |walk: u8| [walk.wrapping_mul(37), 0].into_iter().chain((0..16).map(move |i| i * walk));
        (name, map.into_iter().chain([3]).chain((0..8).flat_map(walk)).collect())
    };
    maps.into_iter().map(walks).collect()
}

#[test]
fn the_seeds_are_those_that_are_written_here() {
    for target in targets() {
        let is_current = target.on_disk() == target.seeds;
        assert!(is_current, "cargo test --all-features --lib writes_the_seeds -- --ignored: {}", target.name);
    }
}

#[test]
fn every_seed_passes_its_target() {
    for target in targets() {
        for (name, bytes) in target.on_disk() {
            let outcome = std::panic::catch_unwind(|| (target.body)(&bytes));
            assert!(outcome.is_ok(), "{}/{name}: see above", target.name);
        }
    }
}

#[test]
#[ignore = "writes fuzz/seeds"]
fn writes_the_seeds() {
    for target in targets() {
        let folder = target.folder();
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in &target.seeds {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
}
