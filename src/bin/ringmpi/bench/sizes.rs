//! Lengths of messages on the command line.

use crate::limit::{self, MAX_BYTES};
use std::str::FromStr;

/// A length in bytes, given as `8`, `64K` or `1M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(usize);

impl Size {
    pub(super) fn bytes(self) -> usize {
        self.0
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, unit) = match text.as_bytes().last() {
            Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
            Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
            _ => (text, 1),
        };
        let number: usize = digits.parse().map_err(|_| "not a number of bytes, such as 8, 64K or 1M")?;
        let bytes = number.checked_mul(unit).filter(|bytes| *bytes <= MAX_BYTES);
        bytes.map(Self).ok_or_else(|| format!("more than {MAX_BYTES} bytes"))
    }
}

/// A length in bytes that is a number of words: of what is reduced, for instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words(usize);

impl Words {
    pub(super) fn bytes(self) -> usize {
        self.0
    }
}

impl FromStr for Words {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Size(bytes) if bytes > 0 && bytes.is_multiple_of(8) => Ok(Self(bytes)),
            Size(bytes) => Err(format!("{bytes} bytes are not one or more words of 8 bytes")),
        }
    }
}

/// 0, then all powers of two up to the longest message.
pub(super) fn powers_of_two() -> Vec<usize> {
    std::iter::once(0).chain((0..=MAX_BYTES.ilog2()).map(|power| 1 << power)).collect()
}

/// As it is given on the command line.
pub(super) fn name(bytes: usize) -> String {
    limit::Size(bytes).to_string()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn units_multiply_and_the_bare_machines_longest_message_is_the_limit() {
        assert_eq!("8".parse(), Ok(Size(8)));
        assert_eq!("64K".parse(), Ok(Size(65_536)));
        assert_eq!("4M".parse(), Ok(Size(MAX_BYTES)));
        for wrong in ["", "K", "-1", "5M", "1G", "18446744073709551615K"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong} was accepted");
        }
    }

    #[test]
    fn words_are_lengths_that_8_divides() {
        assert_eq!("64K".parse(), Ok(Words(65_536)));
        assert_eq!("24".parse(), Ok(Words(24)));
        for wrong in ["0", "4", "12", "5M", "x"] {
            assert!(wrong.parse::<Words>().is_err(), "{wrong} was accepted");
        }
    }

    #[test]
    fn sizes_go_from_nothing_to_the_longest_message() {
        let sizes = powers_of_two();
        assert_eq!((sizes[0], sizes[1], sizes[2]), (0, 1, 2));
        assert_eq!(sizes.last(), Some(&MAX_BYTES));
    }
}
