//! Lower bound, upper bound and extent: all 64-bit arithmetic that can overflow for a user's numbers.
//!
//! The standard defines them over the flat list of typed bytes and markers. That list is never made
//! here, so the parts that decide are carried along: the hull of the data, the hull of the markers
//! that `MPI_Type_create_resized` put in, and the strictest alignment.

use crate::error::{Error, ErrorClass, Result};
use std::fmt;

/// From `lower` to just before `upper`. The markers of a negative extent have `upper < lower`.
#[derive(Clone, Copy, Debug)]
struct Span {
    lower: i64,
    upper: i64,
}

impl Span {
    /// The hull of copies at every displacement between 0 and `far`, both included.
    fn stretched(self, far: i64) -> Option<Self> {
        let lower = self.lower.checked_add(far.min(0))?;
        let upper = self.upper.checked_add(far.max(0))?;
        Some(Self { lower, upper })
    }

    fn shifted(self, displacement: i64) -> Option<Self> {
        let lower = self.lower.checked_add(displacement)?;
        let upper = self.upper.checked_add(displacement)?;
        Some(Self { lower, upper })
    }

    fn joined(self, other: Self) -> Self {
        Self { lower: self.lower.min(other.lower), upper: self.upper.max(other.upper) }
    }

    fn length(self) -> Option<i64> {
        self.upper.checked_sub(self.lower)
    }
}

/// What decides the bounds of a type map. `data` is `None` for a map without bytes.
///
/// # Standard
/// MPI 5.0, 5.1 (extent and its padding ε), 5.1.7 (markers), 5.1.8 (true extent).
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    data: Option<Span>,
    /// Markers outrank data wherever they occur in the map, however deep.
    marked: Option<Span>,
    alignment: u32,
}

/// The bounds that a caller may ask for; they all fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extents {
    pub(super) lb: i64,
    pub(super) extent: i64,
    pub(super) true_lb: i64,
    pub(super) true_extent: i64,
}

impl Bounds {
    pub(super) const EMPTY: Self = Self { data: None, marked: None, alignment: 1 };

    /// `size` bytes at displacement 0; none if `size` is 0.
    pub(super) fn basic(size: u32, alignment: u32) -> Self {
        match size {
            0 => Self::EMPTY,
            _ => Self { data: Some(Span { lower: 0, upper: size.into() }), marked: None, alignment },
        }
    }

    /// `times` copies (at least one), each `stride` bytes after the one before.
    pub(super) fn repeated(self, times: u64, stride: i64) -> Result<Self> {
        let far = i64::try_from((i128::from(times) - 1) * i128::from(stride)).ok();
        self.moved(|span| span.stretched(far?)).ok_or_else(|| {
            too_large(format_args!("{times} copies of {self}, one every {stride} bytes, span"))
        })
    }

    pub(super) fn shifted(self, displacement: i64) -> Result<Self> {
        self.moved(|span| span.shifted(displacement))
            .ok_or_else(|| too_large(format_args!("displacement {displacement} puts the end of {self}")))
    }

    /// Both, as parts of one map.
    pub(super) fn joined(self, other: Self) -> Self {
        Self {
            data: join(self.data, other.data),
            marked: join(self.marked, other.marked),
            alignment: self.alignment.max(other.alignment),
        }
    }

    /// New markers in place of all older ones.
    pub(super) fn resized(self, lb: i64, extent: i64) -> Result<Self> {
        let upper = lb.checked_add(extent).ok_or_else(|| {
            too_large(format_args!("extent {extent} from lower bound {lb} puts the upper bound"))
        })?;
        Ok(Self { marked: Some(Span { lower: lb, upper }), ..self })
    }

    /// Of the data alone.
    pub(super) fn unmarked(self) -> Self {
        Self { marked: None, ..self }
    }

    pub(super) fn extents(self) -> Result<Extents> {
        self.checked_extents().ok_or_else(|| too_large(format_args!("the extent of {self} lies")))
    }

    fn checked_extents(self) -> Option<Extents> {
        let data = self.data.unwrap_or(Span { lower: 0, upper: 0 });
        let (lb, extent) = match self.marked {
            Some(marked) => (marked.lower, marked.length()?),
            None => (data.lower, self.padded(data.length()?)?),
        };
        lb.checked_add(extent)?;
        Some(Extents { lb, extent, true_lb: data.lower, true_extent: data.length()? })
    }

    /// The standard's ε: an array of the type keeps every element aligned.
    fn padded(self, length: i64) -> Option<i64> {
        let alignment = i64::from(self.alignment);
        match length % alignment {
            0 => Some(length),
            over => length.checked_add(alignment - over),
        }
    }

    fn moved(self, way: impl Fn(Span) -> Option<Span>) -> Option<Self> {
        let apply = |span: Option<Span>| span.map_or(Some(None), |span| way(span).map(Some));
        Some(Self { data: apply(self.data)?, marked: apply(self.marked)?, ..self })
    }
}

fn join(one: Option<Span>, other: Option<Span>) -> Option<Span> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.joined(other)),
        (one, other) => one.or(other),
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.marked.or(self.data) {
            Some(Span { lower, upper }) => write!(f, "a type from byte {lower} to {upper}"),
            None => write!(f, "an empty type"),
        }
    }
}

/// `what` is a sentence without its end.
#[cold]
pub(super) fn too_large(what: fmt::Arguments<'_>) -> Error {
    Error::new(ErrorClass::VALUE_TOO_LARGE, format!("datatype too large: {what} beyond 64 bits")).with_help(
        "check counts, strides and displacements: the last two are in elements or bytes, by constructor",
    )
}
