//! The patterns of messages: what each side does in a round.

use super::{
    Result,
    exchange::{Side, Task},
    payload::{self, Incoming, Outgoing},
};
use ringmpi::{Request, Source};

/// One side's part in a pattern.
pub(super) trait Player {
    fn round(&mut self) -> Result<()>;

    /// Whether the last message that came is the one that was sent.
    fn check(&self) -> Result<()>;
}

/// Rank 0 sends, then receives; rank 1 the other way round.
pub(super) struct PingPong<'a, 'c, 'u> {
    side: &'a Side<'c, 'u>,
    touch: bool,
    outgoing: Outgoing,
    incoming: Incoming,
}

impl<'a, 'c, 'u> PingPong<'a, 'c, 'u> {
    pub(super) fn new(side: &'a Side<'c, 'u>, task: Task) -> Result<Self> {
        let outgoing = match task.shared {
            true => Outgoing::shared(side.world.alloc(task.bytes)?),
            false => Outgoing::private(task.bytes),
        };
        Ok(Self { side, touch: task.touch, outgoing, incoming: Incoming::new(task.bytes) })
    }

    #[inline]
    fn send(&mut self) -> Result<()> {
        Ok(self.side.peer.send(self.outgoing.next(self.touch))?)
    }

    #[inline]
    fn receive(&mut self) -> Result<()> {
        self.side.peer.receive_into(self.incoming.room())?;
        self.incoming.read(self.touch)
    }
}

impl Player for PingPong<'_, '_, '_> {
    #[inline]
    fn round(&mut self) -> Result<()> {
        if self.side.is_first {
            self.send()?;
            self.receive()
        } else {
            self.receive()?;
            self.send()
        }
    }

    fn check(&self) -> Result<()> {
        self.incoming.check()
    }
}

/// Messages from one buffer of rank 0 into one of rank 1.
pub(super) struct Stream<'a, 'c, 'u> {
    one: PingPong<'a, 'c, 'u>,
    messages: usize,
}

impl<'a, 'c, 'u> Stream<'a, 'c, 'u> {
    pub(super) fn new(side: &'a Side<'c, 'u>, task: Task) -> Result<Self> {
        Ok(Self { one: PingPong::new(side, task)?, messages: task.pattern.messages(task.bytes) })
    }

    fn send_window(&mut self) -> Result<()> {
        if self.one.touch {
            (0..self.messages).try_for_each(|_| self.one.send())?;
        } else {
            self.send_unchanged()?;
        }
        self.one.side.await_acknowledgement()
    }

    /// A buffer that is not rewritten can be in many messages at once.
    fn send_unchanged(&self) -> Result<()> {
        let (side, bytes) = (self.one.side, self.one.outgoing.as_slice());
        side.world.scope(|scope| {
            (0..self.messages).try_for_each(|_| scope.immediate_send(side.peer, bytes).map(drop))
        })?;
        Ok(())
    }

    fn receive_window(&mut self) -> Result<()> {
        (0..self.messages).try_for_each(|_| self.one.receive())?;
        self.one.side.acknowledge()
    }
}

impl Player for Stream<'_, '_, '_> {
    fn round(&mut self) -> Result<()> {
        if self.one.side.is_first { self.send_window() } else { self.receive_window() }
    }

    fn check(&self) -> Result<()> {
        if self.one.side.is_first { Ok(()) } else { self.one.check() }
    }
}

/// Nonblocking messages of rank 0 to rank 1, each with a buffer of its own on either side.
pub(super) struct Rate<'a, 'c, 'u> {
    side: &'a Side<'c, 'u>,
    touch: bool,
    buffers: Vec<Vec<u8>>,
    requests: Vec<Request<'c, Vec<u8>>>,
    messages: u64,
}

impl<'a, 'c, 'u> Rate<'a, 'c, 'u> {
    pub(super) fn new(side: &'a Side<'c, 'u>, task: Task) -> Self {
        let window = task.pattern.messages(task.bytes);
        let mut buffers = vec![vec![1; task.bytes]; window];
        if side.is_first {
            buffers.iter_mut().for_each(|buffer| payload::write(buffer, 0));
        }
        Self { side, touch: task.touch, buffers, requests: Vec::with_capacity(window), messages: 0 }
    }

    fn send_window(&mut self) -> Result<()> {
        for mut buffer in self.buffers.drain(..) {
            if self.touch {
                self.messages += 1;
                payload::write(&mut buffer, self.messages);
            }
            self.requests.push(self.side.peer.immediate_send(buffer)?);
        }
        for request in self.requests.drain(..) {
            self.buffers.push(request.wait()?);
        }
        self.side.await_acknowledgement()
    }

    fn receive_window(&mut self) -> Result<()> {
        for buffer in self.buffers.drain(..) {
            self.requests.push(self.side.peer.immediate_receive_into(buffer)?);
        }
        for request in self.requests.drain(..) {
            let buffer = request.wait()?;
            if self.touch {
                self.messages += 1;
                payload::check(&buffer, self.messages)?;
            }
            self.buffers.push(buffer);
        }
        self.side.acknowledge()
    }
}

impl Player for Rate<'_, '_, '_> {
    fn round(&mut self) -> Result<()> {
        if self.side.is_first { self.send_window() } else { self.receive_window() }
    }

    fn check(&self) -> Result<()> {
        match self.buffers.last() {
            Some(last) if !self.side.is_first => payload::check(last, self.messages),
            _ => Ok(()),
        }
    }
}
