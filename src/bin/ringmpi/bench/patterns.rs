//! The patterns of messages: what each side does in a round.

use super::{
    Result,
    exchange::{Pattern, Side, Task},
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
        let outgoing = Outgoing::new(side.world, task.bytes, task.shared)?;
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
pub(super) struct Rate<'c, 'u> {
    side: Side<'c, 'u>,
    touch: bool,
    buffers: Vec<Vec<u8>>,
    requests: Vec<Request<'c, Vec<u8>>>,
    messages: u64,
}

impl<'c, 'u> Rate<'c, 'u> {
    pub(super) fn new(side: Side<'c, 'u>, bytes: usize, touch: bool) -> Self {
        let window = Pattern::Rate.messages(bytes);
        let mut buffers = vec![vec![1; bytes]; window];
        if side.is_first {
            buffers.iter_mut().for_each(|buffer| payload::write(buffer, 0));
        }
        Self { side, touch, buffers, requests: Vec::with_capacity(window), messages: 0 }
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

impl Player for Rate<'_, '_> {
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

/// Nonblocking messages both ways at once, each with a buffer of its own on either side, written before and read after.
pub(super) struct Both<'c, 'u> {
    side: Side<'c, 'u>,
    outgoing: Vec<Vec<u8>>,
    incoming: Vec<Vec<u8>>,
    sends: Vec<Request<'c, Vec<u8>>>,
    receives: Vec<Request<'c, Vec<u8>>>,
    sent: u64,
    received: u64,
}

impl<'c, 'u> Both<'c, 'u> {
    pub(super) fn new(side: Side<'c, 'u>, bytes: usize) -> Self {
        let window = Pattern::Rate.messages(bytes);
        let buffers = || vec![vec![1; bytes]; window];
        let (outgoing, incoming) = (buffers(), buffers());
        let (sends, receives) = (Vec::with_capacity(window), Vec::with_capacity(window));
        Self { side, outgoing, incoming, sends, receives, sent: 0, received: 0 }
    }
}

impl Player for Both<'_, '_> {
    fn round(&mut self) -> Result<()> {
        for buffer in self.incoming.drain(..) {
            self.receives.push(self.side.peer.immediate_receive_into(buffer)?);
        }
        for mut buffer in self.outgoing.drain(..) {
            self.sent += 1;
            payload::write(&mut buffer, self.sent);
            self.sends.push(self.side.peer.immediate_send(buffer)?);
        }
        for request in self.receives.drain(..) {
            let buffer = request.wait()?;
            self.received += 1;
            payload::check(&buffer, self.received)?;
            self.incoming.push(buffer);
        }
        for request in self.sends.drain(..) {
            self.outgoing.push(request.wait()?);
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        self.incoming.last().map_or(Ok(()), |last| payload::check(last, self.received))
    }
}
