//! How a received message becomes values: in place if every bit pattern is a value of the type, else aside,
//! and from there only if it passes the check.

use crate::{
    buffer::{self, Held, Plain, ReceiveBytes},
    error::{Error, ErrorClass, Result},
    status::Status,
};
use std::mem::MaybeUninit;

/// Fills the front of a slice by `receive`.
#[inline]
pub(super) fn into_slice<T: Plain>(
    into: &mut [T],
    receive: impl FnOnce(ReceiveBytes) -> Result<Status>,
) -> Result<Status> {
    if buffer::any_bits::<T>() {
        return receive(buffer::of_slice_mut(into));
    }
    let mut bits = buffer::aside::<T>(into.len())?;
    let status = receive(buffer::of_aside::<T>(&mut bits))?;
    let values = checked::<T>(&bits, &status)?;
    into[..values.len()].copy_from_slice(values);
    Ok(status)
}

/// Lets `run` change all of a slice.
#[inline]
pub(crate) fn in_place<T: Plain>(data: &mut [T], run: impl FnOnce(ReceiveBytes) -> Result<()>) -> Result<()> {
    if buffer::any_bits::<T>() {
        return run(buffer::of_slice_mut(data));
    }
    let mut bits = buffer::aside_of::<T>(data)?;
    run(buffer::of_aside::<T>(&mut bits))?;
    data.copy_from_slice(all_checked::<T>(&bits)?);
    Ok(())
}

/// A vector of `len` elements, all of which `run` fills.
pub(crate) fn new_vec<T: Plain>(len: usize, run: impl FnOnce(ReceiveBytes) -> Result<()>) -> Result<Vec<T>> {
    let held = Held::<Vec<T>>::with_room(len)?;
    if buffer::any_bits::<T>() {
        run(held.room(len))?;
        return Ok(held.into_received(len));
    }
    let mut bits = buffer::aside::<T>(len)?;
    run(buffer::of_aside::<T>(&mut bits))?;
    let mut values = held.into_inner();
    values.extend_from_slice(all_checked::<T>(&bits)?);
    Ok(values)
}

/// The elements of a collective's result that came aside.
pub(crate) fn all_checked<T: Plain>(bits: &[T::Bits]) -> Result<&[T]> {
    buffer::check::<T>(bits).map_err(no_value::<T>)
}

#[cold]
pub(super) fn no_value<T>(index: usize) -> Error {
    let name = std::any::type_name::<T>();
    Error::of_result(format!("element {index} of the result of a collective is no value of {name}"))
}

/// As [`into_slice`], of memory that need not hold values; returns those that it holds then.
pub(super) fn into_uninit<T: Plain>(
    into: &mut [MaybeUninit<T>],
    receive: impl FnOnce(ReceiveBytes) -> Result<Status>,
) -> Result<(&mut [T], Status)> {
    if buffer::any_bits::<T>() {
        let status = receive(buffer::of_uninit(into))?;
        return Ok((buffer::received(into, status.count::<T>().unwrap_or(0)), status));
    }
    let mut bits = buffer::aside::<T>(into.len())?;
    let status = receive(buffer::of_aside::<T>(&mut bits))?;
    Ok((buffer::fill(into, checked::<T>(&bits, &status)?), status))
}

/// A vector of at most `len` elements.
pub(super) fn into_vec<T: Plain>(
    len: usize,
    receive: impl FnOnce(ReceiveBytes) -> Result<Status>,
) -> Result<Vec<T>> {
    let held = Held::<Vec<T>>::with_room(len)?;
    if buffer::any_bits::<T>() {
        let status = receive(held.room(len))?;
        return Ok(held.into_received(status.count::<T>().unwrap_or(0)));
    }
    let mut bits = buffer::aside::<T>(len)?;
    let status = receive(buffer::of_aside::<T>(&mut bits))?;
    let mut values = held.into_inner();
    values.extend_from_slice(checked::<T>(&bits, &status)?);
    Ok(values)
}

/// The elements of a message that was received aside.
pub(super) fn checked<'b, T: Plain>(bits: &'b [T::Bits], status: &Status) -> Result<&'b [T]> {
    let count = status.count::<T>().unwrap_or(0).min(bits.len());
    buffer::check::<T>(&bits[..count]).map_err(|index| {
        let (source, tag) = (status.source(), status.tag());
        Error::new(
            ErrorClass::TYPE,
            format!(
                "element {index} of the message of rank {source} with tag {tag} is no value of {}",
                std::any::type_name::<T>()
            ),
        )
    })
}
