//! How all ranks find out whether they have called a constructor alike, before anyone relies on it.

use crate::{
    communicator::Communicator,
    error::{Error, ErrorClass, Result},
    types::Rank,
};

/// What a rank says of its arguments: whether they can be, and a word that differs if they do.
type Said = [u64; 2];

const REFUSED: Said = [0, 0];

/// A number that other arguments hardly ever have too.
pub(super) fn digest(words: impl IntoIterator<Item = i64>) -> u64 {
    let mix = |digest: u64, word: i64| {
        (digest.rotate_left(29) ^ word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1)
    };
    words.into_iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

impl Communicator<'_> {
    /// Gives this rank's arguments back if those of all ranks can be; else all ranks err: nobody waits for one that has
    /// refused. `word` is what others are told of this rank's.
    pub(super) fn agree_on<T>(
        &self,
        function: &str,
        arguments: Result<T>,
        word: impl FnOnce(&T) -> u64,
    ) -> Result<(T, Vec<u64>)> {
        let mine = arguments.as_ref().map_or(REFUSED, |arguments| [1, word(arguments)]);
        let said = self.all_gather_to_construct(&[mine])?;
        let arguments = arguments?;
        match said.iter().position(|said| said[0] != 1) {
            None => Ok((arguments, said.into_iter().map(|said| said[1]).collect())),
            Some(rank) => Err(refused_by(function, rank as Rank)),
        }
    }

    /// As [`Self::agree_on`], of arguments that have to be the same on all ranks.
    pub(super) fn agree_on_same<T>(
        &self,
        function: &str,
        arguments: Result<T>,
        word: impl FnOnce(&T) -> u64,
    ) -> Result<T> {
        let (arguments, words) = self.agree_on(function, arguments, word)?;
        match words.iter().position(|word| *word != words[0]) {
            None => Ok(arguments),
            Some(rank) => Err(others(function, rank as Rank)),
        }
    }
}

/// All ranks err, because one of them has refused its own arguments.
#[cold]
pub(super) fn refused_by(function: &str, rank: Rank) -> Error {
    let what = format!("{function}: rank {rank} called it with arguments that cannot be");
    Error::new(ErrorClass::ARG, what).with_help("its own error says which")
}

#[cold]
fn others(function: &str, rank: Rank) -> Error {
    let what = format!("{function}: rank {rank} called it with other arguments than rank 0");
    Error::new(ErrorClass::ARG, what).with_help("all ranks have to give the same")
}
