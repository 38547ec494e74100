//! Shapes: hashes over how types lie in shared memory. Builds that share a segment have equal ones.

/// A hash that is built up number by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape(u64);

impl Shape {
    pub(crate) const START: Self = Self(0xcbf2_9ce4_8422_2325);

    #[must_use]
    pub(crate) const fn with(self, number: u64) -> Self {
        Self((self.0 ^ number).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29))
    }

    #[must_use]
    pub(crate) const fn with_all(self, numbers: &[u64]) -> Self {
        let (mut shape, mut i) = (self.with(numbers.len() as u64), 0);
        while i < numbers.len() {
            shape = shape.with(numbers[i]);
            i += 1;
        }
        shape
    }

    /// What a field is called says what it means.
    #[must_use]
    pub(crate) const fn with_name(self, name: &str) -> Self {
        let (mut shape, mut i) = (self.with(name.len() as u64), 0);
        while i < name.len() {
            shape = shape.with(name.as_bytes()[i] as u64);
            i += 1;
        }
        shape
    }

    #[must_use]
    pub(crate) const fn with_size_of<T>(self) -> Self {
        self.with(size_of::<T>() as u64).with(align_of::<T>() as u64)
    }

    pub(crate) const fn hash(self) -> u64 {
        self.0
    }
}

/// The [`Shape`] of a struct: size, alignment, and the name, offset, size and alignment of every field. One
/// that is left out does not compile.
macro_rules! shape {
    ($type:ident { $($field:tt),* $(,)? }) => {{
        const fn size_of_field<T, F>(_: fn(&T) -> &F) -> (u64, u64) {
            (size_of::<F>() as u64, align_of::<F>() as u64)
        }
        // Names all fields: it has no `..`.
        let _ = |value: &$type| {
            let $type { $($field: _),* } = value;
        };
        $crate::shm::shape::Shape::START.with_size_of::<$type>()
        $(
            .with_name(stringify!($field))
            .with(::std::mem::offset_of!($type, $field) as u64)
            .with(size_of_field(|value: &$type| &value.$field).0)
            .with(size_of_field(|value: &$type| &value.$field).1)
        )*
    }};
}
pub(crate) use shape;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Shape;

    macro_rules! shape_of {
        ($(#[$attribute:meta])* { $($field:ident: $type:ty),* }) => {{
            #[repr(C)]
            $(#[$attribute])*
            struct Words { $($field: $type),* }
            shape!(Words { $($field),* })
        }};
    }

    #[test]
    fn any_difference_between_structs_is_one_between_their_shapes() {
        let all: [(&str, Shape); 8] = [
            ("original", shape_of!({ a: u16, b: u16, c: u64 })),
            ("swapped", shape_of!({ b: u16, a: u16, c: u64 })),
            ("renamed", shape_of!({ a: u16, d: u16, c: u64 })),
            ("longer at the end", shape_of!({ a: u16, b: u16, c: u64, d: u8 })),
            ("longer in its padding", shape_of!({ a: u16, b: u16, d: u16, c: u64 })),
            ("a field that grows into padding", shape_of!({ a: u16, b: u32, c: u64 })),
            ("an array instead of two fields", shape_of!({ a: [u16; 2], c: u64 })),
            ("aligned", shape_of!(#[repr(align(16))] { a: u16, b: u16, c: u64 })),
        ];
        for (index, (name, shape)) in all.iter().enumerate() {
            for (other, other_shape) in &all[..index] {
                assert_ne!(shape, other_shape, "{name}, {other}");
            }
        }
        assert_eq!(all[0].1, shape_of!({ a: u16, b: u16, c: u64 }));
    }
}
