//! Properties of type maps and cursors, against an independent definition.

use super::{Cursor, Strided, TypeMap, fuzz::fuzz};
use crate::error::{ErrorClass, Result};

fn int() -> TypeMap {
    TypeMap::basic(4, 4)
}

fn double() -> TypeMap {
    TypeMap::basic(8, 8)
}

/// The standard's favourite: {(double, 0), (char, 8)}.
fn double_char() -> Result<TypeMap> {
    TypeMap::structure(&[(0, 1, double()), (8, 1, TypeMap::basic(1, 1))])
}

fn bounds(map: &TypeMap) -> [i64; 4] {
    [map.lb(), map.extent(), map.true_lb(), map.true_extent()]
}

/// All runs of `count` elements, one by one, as (displacement, length).
fn runs(map: &TypeMap, count: u64) -> Vec<(i64, u64)> {
    let mut cursor = Cursor::new(map.clone(), count).expect("displacements of a test fit");
    std::iter::from_fn(|| cursor.next_strided(u64::MAX)).flat_map(each_run).collect()
}

fn each_run(strided: Strided) -> impl Iterator<Item = (i64, u64)> {
    (0..strided.times).map(move |run| (strided.displacement + run as i64 * strided.stride, strided.len))
}

#[test]
fn random_types_agree_with_the_definition_of_the_standard() {
    for seed in 1..=30_000_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut byte = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        let data: Vec<u8> = (0..300).map(|_| byte()).collect();
        let verdict = std::panic::catch_unwind(|| fuzz(&data));
        assert!(verdict.is_ok(), "seed {seed}: see above");
    }
}

#[test]
fn extent_is_padded_to_the_strictest_alignment() -> Result<()> {
    assert_eq!(bounds(&double_char()?), [0, 16, 0, 9]);
    let backwards = TypeMap::structure(&[(-3, 1, TypeMap::basic(1, 1)), (0, 1, double_char()?)])?;
    assert_eq!(bounds(&backwards), [-3, 16, -3, 12]);
    Ok(())
}

#[test]
fn markers_outrank_data_in_every_type_made_of_them() -> Result<()> {
    let marked = TypeMap::resized(-3, 9, &int())?;
    assert_eq!(bounds(&marked), [-3, 9, 0, 4]);
    assert_eq!(bounds(&TypeMap::contiguous(2, &marked)?), [-3, 18, 0, 13]);
    let beside_far_data = TypeMap::structure(&[(0, 1, marked), (100, 1, double())])?;
    assert_eq!(bounds(&beside_far_data), [-3, 9, 0, 108]);
    assert_eq!(bounds(&TypeMap::resized(0, 200, &beside_far_data)?), [0, 200, 0, 108]);
    Ok(())
}

#[test]
fn markers_alone_have_bounds_but_no_bytes() -> Result<()> {
    let marker = TypeMap::resized(8, 16, &TypeMap::bytes(0)?)?;
    assert_eq!((bounds(&marker), marker.size(), marker.is_contiguous()), ([8, 16, 0, 0], 0, false));
    assert_eq!(runs(&marker, 5), []);
    Ok(())
}

#[test]
fn zero_counts_make_an_empty_type_whatever_the_other_numbers() -> Result<()> {
    let far = i64::MAX;
    let empties = [
        TypeMap::bytes(0)?,
        TypeMap::contiguous(0, &int())?,
        TypeMap::vector(0, u64::MAX, far, &int())?,
        TypeMap::vector(3, 0, far, &int())?,
        TypeMap::hvector(u64::MAX, 0, far, &int())?,
        TypeMap::indexed(&[(far, 0), (-far, 0)], &int())?,
        TypeMap::hindexed(&[], &int())?,
        TypeMap::structure(&[(far, 0, int()), (far, 7, TypeMap::bytes(0)?)])?,
    ];
    for empty in empties {
        assert_eq!((bounds(&empty), empty.size()), ([0; 4], 0));
        assert_eq!(runs(&empty, u64::MAX), []);
    }
    Ok(())
}

#[test]
fn one_block_ignores_its_stride() -> Result<()> {
    assert!(TypeMap::vector(1, 5, i64::MAX, &int())?.is_contiguous());
    Ok(())
}

#[test]
fn touching_blocks_become_one_run() -> Result<()> {
    let contiguous = [
        TypeMap::vector(6, 2, 2, &int())?,
        TypeMap::indexed(&[(0, 5), (5, 0), (5, 7)], &int())?,
        TypeMap::structure(&[(0, 2, int()), (8, 5, double())])?,
        TypeMap::resized(0, 48, &TypeMap::hvector(2, 3, 24, &TypeMap::resized(0, 8, &double())?)?)?,
    ];
    for map in contiguous {
        assert!(map.is_contiguous(), "{map:?}");
        assert_eq!(runs(&map, 1000), [(0, map.size() * 1000)]);
    }
    Ok(())
}

#[test]
fn a_shifted_or_padded_run_is_not_contiguous() -> Result<()> {
    assert!(!TypeMap::hindexed(&[(8, 1)], &double())?.is_contiguous());
    assert!(!TypeMap::resized(0, 16, &double())?.is_contiguous());
    assert!(!TypeMap::resized(-8, 8, &double())?.is_contiguous());
    assert!(TypeMap::resized(0, 8, &double())?.is_contiguous());
    Ok(())
}

#[test]
fn regular_types_are_one_node_whatever_their_counts() -> Result<()> {
    let column = TypeMap::vector(1_000_000, 1, 3, &double())?;
    let same: Vec<_> = (0..1_000_000).map(|index| (3 * index, 1)).collect();
    let matrix = TypeMap::resized(0, 24_000_000, &column)?;
    for map in [column, TypeMap::indexed(&same, &double())?, TypeMap::contiguous(1 << 30, &matrix)?] {
        assert_eq!(map.nodes().len(), 1, "{map:?}");
    }
    Ok(())
}

#[test]
fn equal_children_share_their_nodes() -> Result<()> {
    let mut map = TypeMap::vector(2, 1, 3, &int())?;
    for _ in 0..40 {
        map = TypeMap::structure(&[(5, 1, map.clone()), (-17, 1, TypeMap::bytes(1)?), (1, 1, map)])?;
    }
    assert!(map.nodes().len() < 100, "{} nodes", map.nodes().len());
    assert_eq!(map.size(), (8 << 40) + (1 << 40) - 1);
    Ok(())
}

#[test]
fn a_type_of_too_many_parts_is_refused() {
    let doubled = |map: TypeMap| {
        let [one, other] = [TypeMap::hvector(2, 1, 1 << 40, &map)?, TypeMap::hvector(3, 1, 1 << 41, &map)?];
        TypeMap::structure(&[(1, 1, one), (-17, 1, TypeMap::bytes(1)?), (3, 1, other)])
    };
    let error = (0..40).try_fold(int(), |map, _| doubled(map)).expect_err("2^40 nodes");
    assert_eq!(error.class(), ErrorClass::TYPE, "{error}");
}

#[test]
fn negative_strides_and_displacements_keep_the_order_of_the_map() -> Result<()> {
    let backwards = TypeMap::vector(3, 1, -2, &int())?;
    assert_eq!(bounds(&backwards), [-16, 20, -16, 20]);
    assert_eq!(runs(&backwards, 1), [(0, 4), (-8, 4), (-16, 4)]);
    let touching_backwards = TypeMap::indexed(&[(1, 1), (0, 1), (-1, 1), (-4, 2)], &int())?;
    assert_eq!(runs(&touching_backwards, 1), [(4, 4), (0, 4), (-4, 4), (-16, 8)]);
    Ok(())
}

#[test]
fn extents_of_zero_and_below_overlay_elements() -> Result<()> {
    let still = TypeMap::resized(0, 0, &TypeMap::indexed(&[(0, 1), (5, 1), (7, 1)], &int())?)?;
    assert_eq!(runs(&still, 2), [(0, 4), (20, 4), (28, 4), (0, 4), (20, 4), (28, 4)]);
    let narrow = TypeMap::resized(0, 2, &int())?;
    assert_eq!(runs(&narrow, 3), [(0, 4), (2, 4), (4, 4)]);
    let backwards = TypeMap::resized(0, -4, &int())?;
    assert_eq!(runs(&backwards, 3), [(0, 4), (-4, 4), (-8, 4)]);
    Ok(())
}

#[test]
fn numbers_beyond_64_bits_are_errors_that_name_them() {
    let too_large: [(Result<TypeMap>, &str); 7] = [
        (TypeMap::bytes(1 << 63), "9223372036854775808"),
        (TypeMap::contiguous(1 << 62, &int()), "4611686018427387904"),
        (TypeMap::vector(2, 1, i64::MAX / 2, &int()), "4611686018427387903"),
        (TypeMap::hvector(3, 1, i64::MAX, &int()), "9223372036854775807"),
        (TypeMap::hindexed(&[(i64::MAX - 3, 1)], &int()), "9223372036854775804"),
        (TypeMap::structure(&[(i64::MIN, 1, int()), (i64::MAX - 9, 1, int())]), "9223372036854775802"),
        (TypeMap::resized(i64::MAX, 1, &int()), "9223372036854775807"),
    ];
    for (result, number) in too_large {
        let error = result.expect_err(number);
        assert_eq!(error.class(), ErrorClass::VALUE_TOO_LARGE);
        assert!(error.to_string().contains(number), "{number} is missing in: {error}");
    }
    let overlaid = TypeMap::bytes(1 << 30).and_then(|run| TypeMap::hvector(1 << 40, 1, 0, &run));
    assert!(overlaid.expect_err("2^70 bytes").to_string().contains("1099511627776"));
}

#[test]
fn a_cursor_refuses_elements_that_no_address_reaches() -> Result<()> {
    let page = TypeMap::resized(0, 1 << 40, &int())?;
    assert!(Cursor::new(page.clone(), 1 << 22).is_ok());
    assert!(Cursor::new(page, 1 << 24).is_err());
    Ok(())
}

#[test]
fn huge_counts_are_sought_not_walked() -> Result<()> {
    let face = TypeMap::vector(1 << 20, 1, 2, &double_char()?)?;
    let mut cursor = Cursor::new(face.clone(), 1 << 20)?;
    assert_eq!(cursor.total(), 9 << 40);
    let (element, block) = (777_777, 123_456);
    cursor.seek((element << 20 | block) * 9 + 5);
    let displacement = element as i64 * face.extent() + block as i64 * 32;
    assert_eq!(cursor.next_strided(100).map(|run| (run.displacement, run.len)), Some((displacement + 5, 4)));
    assert_eq!(
        cursor.next_strided(13),
        Some(Strided { displacement: displacement + 32, len: 9, stride: 32, times: 1 })
    );
    cursor.seek(cursor.total());
    assert_eq!(cursor.next_strided(100), None);
    Ok(())
}

/// A type with every kind of node: runs, strided runs, repeats, lists.
fn mixed() -> Result<TypeMap> {
    let irregular = TypeMap::indexed(&[(9, 2), (1, 1), (5, 3)], &int())?;
    let face = TypeMap::hvector(2, 1, 100, &TypeMap::vector(3, 1, 2, &int())?)?;
    let part = |at, count, map: &TypeMap| (at, count, map.clone());
    TypeMap::structure(&[
        part(7, 1, &irregular),
        part(60, 3, &int()),
        part(400, 2, &face),
        part(-50, 2, &irregular),
    ])
}

#[test]
fn pieces_of_any_size_name_the_same_bytes_in_the_same_order() -> Result<()> {
    let bytes = |strided| each_run(strided).flat_map(|(at, len)| (0..len as i64).map(move |byte| at + byte));
    let whole: Vec<i64> = runs(&mixed()?, 3).into_iter().flat_map(|(at, len)| at..at + len as i64).collect();
    for max in 1..whole.len() as u64 + 2 {
        let mut cursor = Cursor::new(mixed()?, 3)?;
        let pieces = std::iter::from_fn(|| cursor.next_strided(max));
        assert!(pieces.flat_map(bytes).eq(whole.iter().copied()), "pieces of {max}");
    }
    for offset in 0..whole.len() {
        let mut cursor = Cursor::new(mixed()?, 3)?;
        cursor.seek(offset as u64);
        let rest = std::iter::from_fn(|| cursor.next_strided(u64::MAX));
        assert!(rest.flat_map(bytes).eq(whole[offset..].iter().copied()), "from byte {offset}");
    }
    Ok(())
}

#[test]
fn no_room_moves_nothing() -> Result<()> {
    let mut cursor = Cursor::new(mixed()?, 3)?;
    cursor.next_strided(3);
    assert_eq!((cursor.next_strided(0), cursor.position()), (None, 3));
    assert!(cursor.next_strided(1).is_some());
    Ok(())
}

#[test]
fn maps_deeper_than_the_inline_path_are_walked_alike() -> Result<()> {
    let level = |map: TypeMap, depth| TypeMap::hvector(2, 1, 1000_i64.pow(depth), &map);
    let deep = (0..6).try_fold(TypeMap::indexed(&[(0, 1), (2, 2)], &int())?, level)?;
    let deep = TypeMap::structure(&[(0, 1, deep.clone()), (4, 1, int()), (1, 1, deep)])?;
    let expected =
        |bits: u32| (0..6).map(|depth| i64::from(bits >> depth & 1) * 1000_i64.pow(depth)).sum::<i64>();
    let half = |at: i64| (0..64).map(expected).flat_map(move |sum| [(at + sum, 4), (at + sum + 8, 8)]);
    assert_eq!(runs(&deep, 1), half(0).chain([(4, 4)]).chain(half(1)).collect::<Vec<_>>());
    Ok(())
}
