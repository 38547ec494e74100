//! The fuzz target of type maps: bytes are decoded to a type and to operations on a cursor over it.
//!
//! Small types are compared with the oracle. Of huge ones it is checked that nothing overflows and that
//! a cursor that is sought to each piece agrees with one that goes straight on.

use super::{
    Cursor, Strided, TypeMap,
    oracle::{Flat, Spec},
};

/// The largest list that the oracle is asked to write out.
const FLAT_MAX: u128 = 4096;
/// Bounds that do not come near this magnitude must not be refused.
const SURELY_FITS: i128 = 1 << 60;

/// Panics if the type map that `data` stands for breaks a property.
pub(crate) fn fuzz(data: &[u8]) {
    let mut input = Input(data);
    let spec = input.spec(0);
    let small = spec.weight() <= FLAT_MAX;
    let flat = small.then(|| spec.flatten());
    match (spec.build(), flat) {
        (Ok(map), Some(flat)) => {
            check_bounds(&map, &flat, &spec);
            check_small(&map, &flat, &mut input, &spec);
        }
        (Ok(map), None) => check_huge(map, &mut input, &spec),
        (Err(error), Some(flat)) => assert!(flat.magnitude >= SURELY_FITS, "{error}: {spec:?}"),
        (Err(_), None) => {}
    }
}

fn check_bounds(map: &TypeMap, flat: &Flat, spec: &Spec) {
    let found = [map.lb(), map.extent(), map.true_lb(), map.true_extent()].map(i128::from);
    let expected = [flat.lb(), flat.extent(), flat.true_lb(), flat.true_extent()];
    assert_eq!(found, expected, "lb, extent, true lb, true extent of {spec:?}");
    assert_eq!(map.size(), flat.bytes.len() as u64, "size of {spec:?}");
    let row = flat.elements(3);
    let in_a_row = row.iter().zip(0..).all(|(&byte, index)| byte == index);
    let contiguous = in_a_row && flat.extent() == flat.bytes.len() as i128 && flat.lb() == 0;
    assert_eq!(map.is_contiguous(), contiguous, "is_contiguous of {spec:?}");
}

fn check_small(map: &TypeMap, flat: &Flat, input: &mut Input<'_>, spec: &Spec) {
    let count = u64::from(input.byte() % 5);
    let expected = flat.elements(count);
    let Ok(mut cursor) = Cursor::new(map.clone(), count) else {
        let farthest = expected.iter().map(|byte| byte.abs()).max().unwrap_or(0);
        assert!(farthest.max(flat.magnitude) >= SURELY_FITS, "{count} elements of {spec:?}");
        return;
    };
    assert_eq!(cursor.total(), expected.len() as u64, "{count} elements of {spec:?}");
    for _ in 0..8 {
        let offset = u64::from(input.half()) % (cursor.total() + 1);
        cursor.seek(offset);
        let found = walk(&mut cursor, input);
        let context = || format!("{found:?} from byte {offset} of {count} elements of {spec:?}");
        assert_eq!(cursor.position(), offset + found.len() as u64, "{}", context());
        assert!(expected[offset as usize..].starts_with(&found), "{}", context());
        assert!(cursor.position() == cursor.total() || found.len() >= 16, "{}", context());
    }
}

/// The bytes of up to 16 pieces or to the end.
fn walk(cursor: &mut Cursor, input: &mut Input<'_>) -> Vec<i128> {
    let mut bytes = Vec::new();
    for _ in 0..16 {
        let max = input.piece();
        match cursor.next_strided(max) {
            Some(strided) => bytes.extend(bytes_of(strided, max)),
            None => assert_eq!(cursor.position(), cursor.total()),
        }
    }
    bytes
}

fn bytes_of(strided: Strided, max: u64) -> impl Iterator<Item = i128> {
    assert!(strided.len > 0 && strided.times > 0 && strided.size() <= max, "{strided:?} for {max} bytes");
    let start = move |run| i128::from(strided.displacement) + i128::from(run) * i128::from(strided.stride);
    (0..strided.times).flat_map(move |run| (0..strided.len).map(move |byte| start(run) + i128::from(byte)))
}

fn check_huge(map: TypeMap, input: &mut Input<'_>, spec: &Spec) {
    let count = 1 << (input.byte() % 44);
    let Ok(mut onward) = Cursor::new(map.clone(), count) else { return };
    let mut sought = Cursor::new(map, count).expect("the same succeeded just before");
    for _ in 0..4 {
        onward.seek(input.number().unsigned_abs() % (onward.total() + 1));
        for _ in 0..16 {
            let max = input.piece();
            sought.seek(onward.position());
            let [piece, again] = [&mut onward, &mut sought].map(|cursor| cursor.next_strided(max));
            assert_eq!(piece.map(ends), again.map(ends), "byte {} of {spec:?}", onward.position());
            assert_eq!(onward.position(), sought.position(), "{spec:?}");
        }
    }
}

/// What two cursors must agree on: the stride of a single run means nothing.
fn ends(strided: Strided) -> (i64, u64, u64, Option<i64>) {
    let Strided { displacement, len, times, stride } = strided;
    (displacement, len, times, (times > 1).then_some(stride))
}

/// Bytes to decode; zeros when they have run out.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn half(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// The most bytes of the next piece, at least 1.
    fn piece(&mut self) -> u64 {
        match self.byte() {
            250.. => u64::MAX,
            most => 1 + u64::from(most % 40),
        }
    }

    /// Mostly small, sometimes at the edge of 64 bits.
    fn number(&mut self) -> i64 {
        match self.byte() {
            255 => i64::MAX - i64::from(self.byte()),
            254 => i64::MIN + i64::from(self.byte()),
            253 => 1 << (self.byte() % 63),
            252 => -1 << (self.byte() % 63),
            small => i64::from(small % 32) - 10,
        }
    }

    fn count(&mut self) -> u64 {
        match self.byte() {
            255 => u64::MAX - u64::from(self.byte()),
            254 => 1 << (self.byte() % 64),
            small => u64::from(small % 5),
        }
    }

    fn child(&mut self, depth: u32) -> Box<Spec> {
        Box::new(self.spec(depth + 1))
    }

    fn blocks(&mut self) -> Vec<(i64, u64)> {
        (0..self.byte() % 5).map(|_| (self.number(), self.count())).collect()
    }

    fn spec(&mut self, depth: u32) -> Spec {
        let kind = if depth < 5 { self.byte() % 11 } else { 0 };
        match kind {
            0 | 1 => Spec::Basic((self.byte() % 10).into(), 1 << (self.byte() % 4)),
            2 => Spec::Bytes(self.count()),
            3 => Spec::Contiguous(self.count(), self.child(depth)),
            4 => Spec::Vector(self.count(), self.count(), self.number(), self.child(depth)),
            5 => Spec::Hvector(self.count(), self.count(), self.number(), self.child(depth)),
            6 => Spec::Indexed(self.blocks(), self.child(depth)),
            7 => Spec::Hindexed(self.blocks(), self.child(depth)),
            8 | 9 => {
                let block = |_| (self.number(), self.count(), self.spec(depth + 1));
                Spec::Structure((0..3).map(block).collect())
            }
            _ => Spec::Resized(self.number(), self.number(), self.child(depth)),
        }
    }
}
