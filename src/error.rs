//! [`Error`]: what went wrong, with the numbers of both sides, and its MPI [`ErrorClass`].

use crate::types::{Rank, Tag};
use std::{borrow::Cow, fmt};

/// The result of every fallible call.
///
/// ```
/// use ringmpi::{Communicator, Result, op};
///
/// /// Whether all ranks say so.
/// fn all_agree(world: &Communicator<'_>, vote: bool) -> Result<bool> {
///     world.all_reduce_value(vote, op::LogicalAnd)
/// }
/// # assert_eq!(ringmpi::threads(3, |world| all_agree(&world, world.rank() < 2).unwrap())?, [false; 3]);
/// # Ok::<(), ringmpi::Error>(())
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong in a call. One boxed pointer, so that `Result<()>` is as small as a pointer.
///
/// ```
/// use ringmpi::ErrorClass;
/// # ringmpi::threads(1, |world| {
/// let error = world.broadcast_value(1, 5).unwrap_err();
/// assert_eq!(error.class(), ErrorClass::ROOT);
/// println!("{error}"); // says which rank does not exist
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 9.3 and 9.4.
#[derive(Clone)]
pub struct Error(Box<Facts>);

const _: () = assert!(size_of::<Result<()>>() == size_of::<usize>());

#[derive(Clone)]
struct Facts {
    class: ErrorClass,
    what: Cow<'static, str>,
    help: Option<Cow<'static, str>>,
    truncated: Option<Truncated>,
    is_consequence: bool,
    is_of_result: bool,
}

/// The facts of a message that was longer than the receive buffer.
///
/// ```
/// use ringmpi::{Source, Truncated};
/// # ringmpi::threads(1, |world| {
/// let myself = world.process_at_rank(0);
/// myself.tag(6).send(&[1u8; 100])?;
/// let error = myself.receive_into(&mut [0u8; 64]).unwrap_err();
/// let Truncated { source, tag, sent, room } = error.as_truncated().expect("it was too long");
/// assert_eq!((source, tag, sent, room), (0, 6, 100, 64));
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 9.4: what `MPI_ERR_TRUNCATE` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated {
    /// The sender's rank in the communicator.
    pub source: Rank,
    /// The message's tag.
    pub tag: Tag,
    /// The message's size in bytes.
    pub sent: u64,
    /// The receive buffer's size in bytes.
    pub room: u64,
}

impl Error {
    #[cold]
    pub(crate) fn new(class: ErrorClass, what: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Facts {
            class,
            what: what.into(),
            help: None,
            truncated: None,
            is_consequence: false,
            is_of_result: false,
        }))
    }

    /// The end of a job that something else has ended, which is reported where it happened.
    #[cold]
    pub(crate) fn consequence(what: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::new(ErrorClass::PROC_ABORTED, what);
        error.0.is_consequence = true;
        error
    }

    pub(crate) fn is_consequence(&self) -> bool {
        self.0.is_consequence
    }

    /// Of bits that are no values, which this rank finds when a collective is over.
    #[cold]
    pub(crate) fn of_result(what: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::new(ErrorClass::TYPE, what);
        error.0.is_of_result = true;
        error
    }

    pub(crate) fn is_of_result(&self) -> bool {
        self.0.is_of_result
    }

    #[cold]
    pub(crate) fn truncated(facts: Truncated) -> Self {
        let Truncated { source, tag, sent, room } = facts;
        let what = format!(
            "message truncated: rank {source} sent {sent} bytes with tag {tag}, the receive buffer holds {room}"
        );
        let mut error = Self::new(ErrorClass::TRUNCATE, what)
            .with_help("receive with a larger buffer, or ask for the size first with a matched probe");
        error.0.truncated = Some(facts);
        error
    }

    /// A call of the operating system that failed.
    #[cold]
    pub(crate) fn system(call: &str, errno: std::io::Error) -> Self {
        let class = match errno.raw_os_error() {
            Some(libc::ENOMEM | libc::ENOSPC) => ErrorClass::NO_MEM,
            _ => ErrorClass::OTHER,
        };
        Self::new(class, format!("{call} failed: {errno}"))
    }

    /// A word in shared memory that no correct peer would have written.
    #[cold]
    pub(crate) fn corrupt(what: impl fmt::Display) -> Self {
        Self::new(ErrorClass::INTERN, format!("shared memory is corrupted: {what}"))
            .with_help("a rank wrote where it must not; look for out-of-bounds writes in the program")
    }

    /// Names the function that it is of.
    #[cold]
    pub(crate) fn of(mut self, function: &str) -> Self {
        self.0.what = format!("{function}: {}", self.0.what).into();
        self
    }

    /// Adds the sentence that tells the user what to do.
    pub(crate) fn with_help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// The MPI error class.
    ///
    /// ```
    /// use ringmpi::ErrorClass;
    /// # ringmpi::threads(1, |world| {
    /// let nobody = world.process_at_rank(1);
    /// match nobody.send(&[0]) {
    ///     Err(error) if error.class() == ErrorClass::RANK => println!("there is one rank only"),
    ///     other => other?,
    /// }
    /// # assert_eq!(nobody.send(&[0]).unwrap_err().class(), ErrorClass::RANK);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 9.4: `MPI_Error_class`.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.0.class
    }

    /// The sizes, source and tag of a truncated message, if that is the error.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// let myself = world.process_at_rank(0);
    /// myself.send(&[1u64, 2])?;
    /// if let Some(facts) = myself.receive_into(&mut [0u64]).unwrap_err().as_truncated() {
    ///     assert_eq!((facts.sent, facts.room), (16, 8));
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    #[must_use]
    pub fn as_truncated(&self) -> Option<Truncated> {
        self.0.truncated
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        match &self.0.help {
            Some(help) => write!(f, " (help: {help})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.class)
    }
}

impl std::error::Error for Error {}

/// An MPI error class, with the number that it has in the standard ABI.
///
/// ```
/// use ringmpi::ErrorClass;
/// assert_eq!(format!("{:?}", ErrorClass::TRUNCATE), "MPI_ERR_TRUNCATE");
/// assert_eq!(ErrorClass::TRUNCATE.code(), 15);
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 9.4 and 20.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct ErrorClass(i32);

macro_rules! classes {
    ($($name:ident = $code:literal, $doc:literal;)*) => {
        impl ErrorClass {
            $(
                #[doc = concat!($doc, "\n\n# Standard\nMPI 5.0, 9.4: `MPI_ERR_", stringify!($name), "`.")]
                pub const $name: Self = Self($code);
            )*
        }
        impl fmt::Debug for ErrorClass {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    $($code => f.write_str(concat!("MPI_ERR_", stringify!($name))),)*
                    other => write!(f, "MPI error class {other}"),
                }
            }
        }
    };
}

classes! {
    BUFFER = 1, "Invalid buffer.";
    COUNT = 2, "Invalid count.";
    TYPE = 3, "Invalid datatype.";
    TAG = 4, "Invalid tag.";
    COMM = 5, "Invalid communicator.";
    RANK = 6, "Invalid rank.";
    REQUEST = 7, "Invalid request.";
    ROOT = 8, "Invalid root.";
    GROUP = 9, "Invalid group.";
    DIMS = 12, "Invalid dimensions of a grid.";
    ARG = 13, "Invalid argument of another kind.";
    TRUNCATE = 15, "A message was longer than the receive buffer.";
    OTHER = 16, "A known error of no other class.";
    INTERN = 17, "An error inside the implementation, or corrupted shared memory.";
    NO_MEM = 39, "Memory is exhausted.";
    SIZE = 52, "Invalid size.";
    UNSUPPORTED_OPERATION = 55, "The operation is not supported here.";
    PROC_ABORTED = 58, "A peer process has aborted.";
    VALUE_TOO_LARGE = 59, "The value does not fit.";
}

impl ErrorClass {
    /// The class's number in the standard ABI.
    ///
    /// ```
    /// use ringmpi::ErrorClass;
    /// // Other implementations of the ABI have the same numbers.
    /// assert_eq!(ErrorClass::TRUNCATE.code(), 15);
    /// assert_eq!(ErrorClass::NO_MEM.code(), 39);
    /// ```
    #[must_use]
    pub fn code(self) -> i32 {
        self.0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn truncation_names_source_tag_and_both_sizes() {
        let error = Error::truncated(Truncated { source: 3, tag: 77, sent: 8000, room: 4096 });
        let text = error.to_string();
        for fact in ["rank 3", "tag 77", "8000", "4096"] {
            assert!(text.contains(fact), "{fact} is missing in: {text}");
        }
        assert_eq!(error.class(), ErrorClass::TRUNCATE);
    }

    #[test]
    fn debug_of_a_class_is_the_name_in_the_standard() {
        assert_eq!(format!("{:?}", ErrorClass::TRUNCATE), "MPI_ERR_TRUNCATE");
        assert_eq!(format!("{:?}", ErrorClass(12345)), "MPI error class 12345");
    }
}
