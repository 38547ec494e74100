//! The ways that a message can take.

use std::fmt;

use super::copy::Kind;

/// How the bytes of one message get from the sender's buffer to the receiver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scheme {
    /// In the cache line of its sequence word, in a ring of such cells.
    Cell {
        /// The sender pushes the line out of its cache.
        demote: bool,
        /// The receiver does not poll ahead.
        paced: bool,
    },
    /// One copy by the receiver, out of the sender's shared buffer.
    Direct { kind: Kind },
    /// Two copies through a shared staging area, piece by piece: the sender fills a slot while the receiver empties the
    /// one before. The slots are used in turn, so `piece * slots` bytes are the working set.
    Staged { piece: usize, slots: usize, write: Kind, read: Kind },
    /// One copy by the kernel: the receiver reads the sender's private memory.
    Cma,
    /// One copy by the kernel, half by each side: the receiver reads the first half while the sender writes the second.
    CmaBoth,
}

impl Scheme {
    /// The shared bytes that the scheme cycles through.
    pub(super) fn working_set(&self) -> usize {
        match self {
            Scheme::Staged { piece, slots, .. } => piece * slots,
            _ => 0,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scheme::Cell { demote, paced } => {
                let (demoted, paced) =
                    (if *demote { " demoted" } else { "" }, if *paced { " paced" } else { "" });
                write!(f, "cell{demoted}{paced}")
            }
            Scheme::Direct { kind } => write!(f, "direct {}", kind.name()),
            Scheme::Staged { piece, write, read, .. } => {
                let (piece, set) = (Size(*piece), Size(self.working_set()));
                write!(f, "staged {piece} of {set} {}/{}", write.name(), read.name())
            }
            Scheme::Cma => write!(f, "cma"),
            Scheme::CmaBoth => write!(f, "cma both"),
        }
    }
}

/// Who computes what of a sum that both sides want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// Each side one half, which the other copies.
    Halves,
    /// Each side all of it, out of the other's numbers.
    Whole,
}

/// A number of bytes, printed in the largest unit that divides it.
pub(crate) struct Size(pub(crate) usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            0 => "0".to_owned(),
            bytes if bytes.is_multiple_of(1 << 20) => format!("{}M", bytes >> 20),
            bytes if bytes.is_multiple_of(1 << 10) => format!("{}K", bytes >> 10),
            bytes => bytes.to_string(),
        };
        f.pad(&text)
    }
}
