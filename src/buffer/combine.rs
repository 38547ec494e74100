//! Combining the elements of a reduction where they lie.

use super::{Plain, ReceiveBytes, Scratch, SendBytes, any_bits, typed};
use crate::{
    error::{Error, ErrorClass, Result},
    op::{self, Op},
};
use std::sync::Mutex;

/// Which of two parts is that of the lower ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The one that takes the result.
    IntoLower,
    /// The other one.
    IntoUpper,
}

/// Elements that the operation of a reduction combines with others, which take the result.
#[derive(Clone, Copy)]
pub(crate) struct Combination {
    pub(crate) from: SendBytes,
    pub(crate) into: ReceiveBytes,
    pub(crate) order: Order,
}

/// The operation of a reduction, whatever its type.
pub(crate) struct Operation<F: ?Sized> {
    /// No code of the user's runs in it.
    pub(crate) is_built_in: bool,
    pub(crate) combine: F,
}

/// What a blocking reduction combines by.
pub(crate) type BorrowedOperation<'a> = &'a Operation<dyn Fn(Combination) -> Result<()> + 'a>;

/// What a request combines by, on any thread; one at a time.
pub(crate) type SharedOperation = Operation<Mutex<Box<dyn Fn(Combination) -> Result<()> + Send>>>;

/// Combines the elements of `from` with those of `into`, which takes the result.
///
/// # Errors
/// Elements that are no values of the type: nothing has been combined then.
pub(crate) fn combine<T: Plain>(
    op: &impl Op<T>,
    from: SendBytes,
    into: ReceiveBytes,
    order: Order,
) -> Result<()> {
    const { assert!(align_of::<T>() <= Scratch::ALIGN, "types that need more alignment cannot be reduced") };
    let (from, into) = elements::<T>(from, into);
    let (from, into) = (check::<T>(from)?, check_mut::<T>(into)?);
    match order {
        Order::IntoLower => op::combine_into_lower(op, into, from),
        Order::IntoUpper => op::combine_into_upper(op, from, into),
    }
    Ok(())
}

/// The elements of two parts of memory, whatever bits they have.
fn elements<'a, T: Plain>(from: SendBytes, into: ReceiveBytes) -> (&'a [T::Bits], &'a mut [T::Bits]) {
    let size = size_of::<T>().max(1);
    assert_eq!(from.len, into.len, "parts of a reduction have one length");
    assert!(from.len.is_multiple_of(size as u64), "parts of a reduction are whole elements");
    let (low, high) = (from.base.addr(), into.base.addr());
    assert!(low.is_multiple_of(align_of::<T>()) && high.is_multiple_of(align_of::<T>()));
    let len = from.len as usize;
    assert!(len == 0 || low + len <= high || high + len <= low, "parts of a reduction lie apart");
    // SAFETY: aligned, in full length, by the assertions; readable by the contract, and nobody writes it.
    let from = unsafe { std::slice::from_raw_parts(from.base.cast(), len / size) };
    // SAFETY: as above; writable by the contract, and apart from `from`.
    let into = unsafe { std::slice::from_raw_parts_mut(into.base.cast(), len / size) };
    (from, into)
}

fn check<T: Plain>(bits: &[T::Bits]) -> Result<&[T]> {
    typed::check::<T>(bits).map_err(no_value::<T>)
}

fn check_mut<T: Plain>(bits: &mut [T::Bits]) -> Result<&mut [T]> {
    if !any_bits::<T>() {
        check::<T>(bits)?;
    }
    // SAFETY: `Bits` has the layout of `T`; every pattern is a value of it, or all have been checked.
    Ok(unsafe { std::slice::from_raw_parts_mut(bits.as_mut_ptr().cast(), bits.len()) })
}

#[cold]
fn no_value<T>(index: usize) -> Error {
    let name = std::any::type_name::<T>();
    Error::new(
        ErrorClass::TYPE,
        format!("element {index} of what another rank contributed is no value of {name}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{of_aside, of_slice, of_slice_mut};

    #[test]
    fn the_result_takes_the_place_of_the_part_it_is_meant_for_and_order_is_that_of_ranks() {
        let join = op::ordered(|a: &i32, b: &i32| 10 * a + b);
        let (first, mut second) = ([1, 2], [3, 4]);
        combine(&join, of_slice(&first), of_slice_mut(&mut second), Order::IntoUpper).unwrap();
        assert_eq!(second, [13, 24]);
        combine(&join, of_slice(&first), of_slice_mut(&mut second), Order::IntoLower).unwrap();
        assert_eq!(second, [131, 242]);
    }

    #[test]
    fn what_is_no_value_is_refused_and_nothing_is_combined() {
        let or = op::commutative(|a: &bool, b: &bool| *a || *b);
        let mut bits = [1u8, 2].map(bytemuck::cast::<u8, u8>);
        let good = [true, true];
        let error = combine::<bool>(&or, of_slice(&good), of_aside::<bool>(&mut bits), Order::IntoLower);
        assert!(error.unwrap_err().to_string().contains("element 1"));
        let bytes: [u8; 2] = bits.map(bytemuck::cast);
        assert_eq!(bytes, [1, 2]);
    }

    #[test]
    #[should_panic(expected = "lie apart")]
    fn parts_that_overlap_are_a_bug() {
        let mut both = [1i32, 2, 3];
        let memory = of_slice_mut(&mut both);
        let _ = combine::<i32>(&op::Sum, memory.part(0, 8).to_send(), memory.part(4, 8), Order::IntoLower);
    }
}
