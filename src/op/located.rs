//! The smallest and the largest value, and where it is.

use super::Op;
use std::fmt;

mod sealed {
    //! How a value and an index lie in memory without padding.

    use bytemuck::Pod;
    use std::fmt::Debug;

    pub trait Layout: Pod + PartialOrd + Default + Debug {
        /// Bytes between value and index.
        type Between: Pod + Default;
        /// Bytes behind the index.
        type Behind: Pod + Default;
    }
}

use sealed::Layout;

/// The value of a [`ValueIndex`]: an integer or a float of any width.
///
/// ```
/// use ringmpi::{Communicator, Result, op};
///
/// /// The largest value that a rank has, and whose it is.
/// fn winner<V: op::Number>(world: &Communicator<'_>, mine: V) -> Result<(V, i64)> {
///     let best = world.all_reduce_value(op::ValueIndex::new(mine, world.rank()), op::MaxLoc)?;
///     Ok((best.value, best.index))
/// }
/// # let winners = ringmpi::threads(3, |world| winner(&world, [3u8, 9, 5][world.rank() as usize]).unwrap())?;
/// # assert_eq!(winners, [(9, 1); 3]);
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 6.9.4: the type of the values of pairs.
#[diagnostic::on_unimplemented(message = "`{Self}` is no number: integers and floats are")]
pub trait Number: Layout {}

macro_rules! numbers {
    ($between:literal, $behind:literal: $($number:ty)*) => {$(
        impl Layout for $number {
            type Between = [u8; $between];
            type Behind = [u8; $behind];
        }
        impl Number for $number {}
        // Else there is padding.
        const _: () = assert!(size_of::<ValueIndex<$number>>() == size_of::<$number>() + $between + 8 + $behind);
    )*};
}

numbers!(7, 0: i8 u8);
numbers!(6, 0: i16 u16);
numbers!(4, 0: i32 u32 f32);
numbers!(0, 0: i64 u64 isize usize f64);
numbers!(0, 8: i128 u128);

/// A value and where it is, for [`MinLoc`] and [`MaxLoc`]: a rank, or the index of an element of the whole.
///
/// It travels as any [`Plain`](crate::Plain) does. It has no padding: the bytes between and behind its parts are
/// zeros.
///
/// ```
/// use ringmpi::op::ValueIndex;
///
/// let pair = ValueIndex::new(2.5, 7);
/// assert_eq!((pair.value, pair.index), (2.5, 7));
/// ```
///
/// # Standard
/// MPI 5.0, 6.9.4; the pairs of C are `MPI_DOUBLE_INT` and others of its kind, whose index is an `int`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct ValueIndex<V: Number> {
    /// What is compared.
    pub value: V,
    between: V::Between,
    /// Where it is.
    pub index: i64,
    behind: V::Behind,
}

impl<V: Number> ValueIndex<V> {
    /// A value at an index; a [`Rank`](crate::Rank) is one.
    ///
    /// ```
    /// use ringmpi::op::ValueIndex;
    /// // The elements of a slice, with their places in it.
    /// let pairs: Vec<_> = (0i64..).zip([2.5, 0.5]).map(|(index, value)| ValueIndex::new(value, index)).collect();
    /// assert_eq!((pairs[1].value, pairs[1].index), (0.5, 1));
    /// ```
    #[inline]
    pub fn new(value: V, index: impl Into<i64>) -> Self {
        Self { value, index: index.into(), ..Self::default() }
    }
}

impl<V: Number> fmt::Debug for ValueIndex<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueIndex").field("value", &self.value).field("index", &self.index).finish()
    }
}

impl<V: Number> PartialEq for ValueIndex<V> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.index == other.index
    }
}

impl<V: Number + Eq> Eq for ValueIndex<V> {}

/// Of equal values the one with the lower index.
#[inline]
fn chosen<V: Number>(a: &ValueIndex<V>, b: &ValueIndex<V>, is_b_better: bool) -> ValueIndex<V> {
    let is_b = is_b_better || b.value == a.value && b.index < a.index;
    if is_b { *b } else { *a }
}

operations! {
    is_built_in: true;

    /// The smallest value and its index; of equal values the one with the lowest index.
    ///
    /// Of two values that do not compare (NaN) the one of the lower rank, as with [`Min`](super::Min).
    ///
    /// ```
    /// use ringmpi::op::{MinLoc, ValueIndex};
    ///
    /// let smallest = ringmpi::threads(4, |world| {
    ///     let mine = [2.5, 0.5, 1.5, 0.5][world.rank() as usize];
    ///     world.all_reduce_value(ValueIndex::new(mine, world.rank()), MinLoc).unwrap()
    /// })?;
    /// assert_eq!(smallest, [ValueIndex::new(0.5, 1); 4]);
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 6.9.4: `MPI_MINLOC`.
    MinLoc, 11, [V: Number] ValueIndex<V>, |a, b| chosen(a, b, b.value < a.value);

    /// The largest value and its index; of equal values the one with the lowest index.
    ///
    /// Of two values that do not compare (NaN) the one of the lower rank, as with [`Max`](super::Max).
    ///
    /// ```
    /// use ringmpi::op::{MaxLoc, Op, ValueIndex};
    ///
    /// let [a, b] = [ValueIndex::new(9u8, 6), ValueIndex::new(9u8, 4)];
    /// assert_eq!(MaxLoc.apply(&a, &b), b);
    /// ```
    ///
    /// A value alone has no index:
    ///
    /// ```compile_fail,E0277
    /// # use ringmpi::op::{MaxLoc, reduce_local_into};
    /// reduce_local_into(&[1.0f64], &mut [2.0], MaxLoc);
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 6.9.4: `MPI_MAXLOC`.
    MaxLoc, 12, [V: Number] ValueIndex<V>, |a, b| chosen(a, b, b.value > a.value);
}
