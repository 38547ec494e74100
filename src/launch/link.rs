//! What the launcher and its keeper tell each other, over a socket that closes when one of them dies.

use crate::sys::{
    io::{self, PollFlags, Read},
    process::Pid,
};
use std::{
    io::{ErrorKind, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    process::ExitStatus,
};

/// From the keeper to the launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    Started {
        rank: usize,
        pid: Pid,
    },
    /// No process for this rank and those after it.
    NotForked {
        rank: usize,
        errno: i32,
    },
    /// A process was made, but the program could not be run in it.
    NotRun {
        errno: i32,
    },
    Ended {
        pid: Pid,
        status: ExitStatus,
    },
}

/// From the launcher to the keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Send a signal to every descendant.
    Signal(i32),
    /// Send a signal to the process that was started for a rank, if it is still there.
    SignalRank { pid: Pid, signal: i32 },
    /// Kill every descendant, and leave.
    Clear,
    /// Leave; what the ranks left running on purpose runs on.
    Leave,
}

/// A message's form on the socket.
type Words = [i32; 3];

pub(super) trait Message: Sized {
    fn to_words(self) -> Words;
    fn from_words(words: Words) -> Option<Self>;
}

impl Message for Report {
    fn to_words(self) -> Words {
        let number = |rank: usize| i32::try_from(rank).unwrap_or(i32::MAX);
        match self {
            Self::Started { rank, pid } => [1, number(rank), pid],
            Self::NotForked { rank, errno } => [2, number(rank), errno],
            Self::NotRun { errno } => [3, 0, errno],
            Self::Ended { pid, status } => [4, pid, status.into_raw()],
        }
    }

    fn from_words([kind, one, other]: Words) -> Option<Self> {
        match (kind, usize::try_from(one)) {
            (1, Ok(rank)) => Some(Self::Started { rank, pid: other }),
            (2, Ok(rank)) => Some(Self::NotForked { rank, errno: other }),
            (3, _) => Some(Self::NotRun { errno: other }),
            (4, _) => Some(Self::Ended { pid: one, status: ExitStatus::from_raw(other) }),
            _ => None,
        }
    }
}

impl Message for Order {
    fn to_words(self) -> Words {
        match self {
            Self::Signal(signal) => [1, signal, 0],
            Self::Clear => [2, 0, 0],
            Self::Leave => [3, 0, 0],
            Self::SignalRank { pid, signal } => [4, pid, signal],
        }
    }

    fn from_words([kind, one, other]: Words) -> Option<Self> {
        match kind {
            1 => Some(Self::Signal(one)),
            2 => Some(Self::Clear),
            3 => Some(Self::Leave),
            4 => Some(Self::SignalRank { pid: one, signal: other }),
            _ => None,
        }
    }
}

/// One end of the socket.
#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    /// The start of a message whose rest has not come yet.
    partial: Vec<u8>,
    /// What has been sent, and found no room yet.
    outgoing: Vec<u8>,
}

/// The other end has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl Link {
    /// The launcher's end, which never waits for room, and the keeper's, which may: so one of them always
    /// reads.
    pub(super) fn pair() -> std::io::Result<(Self, Self)> {
        let (launcher, keeper) = UnixStream::pair()?;
        launcher.set_nonblocking(true)?;
        let end = |stream| Self { stream, partial: Vec::new(), outgoing: Vec::new() };
        Ok((end(launcher), end(keeper)))
    }

    pub(super) fn send(&mut self, message: impl Message) -> Result<(), Closed> {
        self.outgoing.extend(message.to_words().into_iter().flat_map(i32::to_ne_bytes));
        self.flush()
    }

    /// Sends what has found no room before, as far as there is room.
    pub(super) fn flush(&mut self) -> Result<(), Closed> {
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(count) => _ = self.outgoing.drain(..count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Err(Closed),
            }
        }
        Ok(())
    }

    /// What to poll the socket for.
    pub(super) fn interests(&self) -> PollFlags {
        if self.outgoing.is_empty() { PollFlags::POLLIN } else { PollFlags::POLLIN | PollFlags::POLLOUT }
    }

    /// Takes the messages that have come. To be called when the socket is readable.
    pub(super) fn receive<M: Message>(&mut self) -> Result<Vec<M>, Closed> {
        let mut buffer = [0; 4096];
        match io::read(&self.stream, &mut buffer) {
            Read::Bytes(count) => self.partial.extend_from_slice(&buffer[..count]),
            Read::Nothing => {}
            Read::End => return Err(Closed),
        }
        let whole = self.partial.len() / size_of::<Words>() * size_of::<Words>();
        let bytes: Vec<u8> = self.partial.drain(..whole).collect();
        Ok(bytes.chunks_exact(size_of::<Words>()).filter_map(|bytes| M::from_words(words(bytes))).collect())
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn words(bytes: &[u8]) -> Words {
    bytemuck::pod_read_unaligned(bytes)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_as_they_were_sent_and_in_order() {
        let reports = [
            Report::Started { rank: 3, pid: 4711 },
            Report::NotForked { rank: 5, errno: libc::EAGAIN },
            Report::NotRun { errno: libc::ENOEXEC },
            Report::Ended { pid: 4711, status: ExitStatus::from_raw(libc::SIGKILL) },
        ];
        let (mut launcher, mut keeper) = Link::pair().unwrap();
        for report in reports {
            keeper.send(report).unwrap();
        }
        assert_eq!(launcher.receive::<Report>().unwrap(), reports);
        let one = Order::SignalRank { pid: 4711, signal: libc::SIGUSR1 };
        let orders = [Order::Signal(libc::SIGTERM), Order::Clear, Order::Leave, one];
        for order in orders {
            launcher.send(order).unwrap();
        }
        assert_eq!(keeper.receive::<Order>().unwrap(), orders);
    }

    #[test]
    fn a_message_in_pieces_is_one_message() {
        let (mut launcher, mut keeper) = Link::pair().unwrap();
        let bytes: Vec<u8> = [1, 2, 77].into_iter().flat_map(i32::to_ne_bytes).collect();
        keeper.stream.write_all(&bytes[..5]).unwrap();
        assert_eq!(launcher.receive::<Report>().unwrap(), []);
        keeper.stream.write_all(&bytes[5..]).unwrap();
        assert_eq!(launcher.receive::<Report>().unwrap(), [Report::Started { rank: 2, pid: 77 }]);
    }

    #[test]
    fn the_launcher_waits_for_no_room() {
        let (mut launcher, mut keeper) = Link::pair().unwrap();
        let orders: Vec<Order> =
            (1..5000).map(|pid| Order::SignalRank { pid, signal: libc::SIGUSR1 }).collect();
        assert_eq!(launcher.interests(), PollFlags::POLLIN);
        for order in &orders {
            launcher.send(*order).unwrap();
        }
        assert_eq!(launcher.interests(), PollFlags::POLLIN | PollFlags::POLLOUT);
        let mut obeyed = Vec::new();
        while obeyed.len() < orders.len() {
            launcher.flush().unwrap();
            obeyed.extend(keeper.receive::<Order>().unwrap());
        }
        assert_eq!(obeyed, orders);
        assert_eq!(launcher.interests(), PollFlags::POLLIN);
    }

    #[test]
    fn the_end_of_the_other_side_is_seen() {
        let (mut launcher, keeper) = Link::pair().unwrap();
        drop(keeper);
        assert_eq!(launcher.receive::<Report>(), Err(Closed));
        assert_eq!(launcher.send(Order::Leave), Err(Closed));
    }
}
