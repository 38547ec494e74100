//! A value with its index as plain data.

use crate::op::{Number, ValueIndex};
use bytemuck::{Pod, Zeroable};

// SAFETY: numbers and bytes, of which all zeros are values.
unsafe impl<V: Number> Zeroable for ValueIndex<V> {}

// SAFETY: `repr(C)`, of numbers and bytes alone, which are `Pod`; without padding, which src/op asserts of every `V`.
unsafe impl<V: Number> Pod for ValueIndex<V> {}
