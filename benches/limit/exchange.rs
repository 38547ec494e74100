//! Ping-pong and stream, over any way to move a message.

use std::sync::atomic::Ordering::{Acquire, Release};

use super::payload::Payload;
use super::play::{Player, Side};

/// A way to move messages of one length. Both sides make theirs for a task and drop it after.
pub(super) trait Channel {
    /// Sends the message at `from`, which may be written again only after [`Channel::settle`] or a reply.
    fn send(&mut self, from: *const u8);
    /// Waits for a message and leaves it at `into`.
    fn receive(&mut self, into: *mut u8);
    /// Waits until the buffers of all sends so far may be written again.
    fn settle(&mut self);
}

/// The first side sends, then receives; the second the other way round.
pub(super) struct PingPong<'a, C> {
    side: &'a Side<'a>,
    channel: C,
    payload: Payload<'a>,
}

impl<'a, C: Channel> PingPong<'a, C> {
    pub(super) fn new(side: &'a Side<'a>, channel: C, payload: Payload<'a>) -> Self {
        PingPong { side, channel, payload }
    }

    #[inline(always)]
    fn send(&mut self) {
        self.payload.before_send();
        self.channel.send(self.payload.send_buffer());
    }

    #[inline(always)]
    fn receive(&mut self) {
        self.channel.receive(self.payload.receive_buffer());
        self.payload.after_receive();
    }
}

impl<C: Channel> Player for PingPong<'_, C> {
    #[inline(always)]
    fn round(&mut self) {
        if self.side.is_first() {
            self.send();
            self.receive();
        } else {
            self.receive();
            self.send();
        }
    }
}

/// Messages from the first side to the second, acknowledged once a window.
pub(super) struct Stream<'a, C> {
    side: &'a Side<'a>,
    channel: C,
    payload: Payload<'a>,
    window: u32,
    windows: u64,
}

impl<'a, C: Channel> Stream<'a, C> {
    pub(super) fn new(side: &'a Side<'a>, channel: C, payload: Payload<'a>, window: u32) -> Self {
        Stream { side, channel, payload, window, windows: 0 }
    }

    fn send_window(&mut self) {
        for _ in 0..self.window {
            if self.payload.is_rewritten() {
                self.channel.settle();
            }
            self.payload.before_send();
            self.channel.send(self.payload.send_buffer());
        }
        let (acknowledged, windows) = (&self.side.out().acknowledged.0, self.windows);
        // WINDOW: pairs with the Release in receive_window.
        self.side.spin.until(|| acknowledged.load(Acquire) == windows);
    }

    fn receive_window(&mut self) {
        for _ in 0..self.window {
            self.channel.receive(self.payload.receive_buffer());
            self.payload.after_receive();
        }
        // WINDOW: pairs with the Acquire in send_window.
        self.side.back().acknowledged.0.store(self.windows, Release);
    }
}

impl<C: Channel> Player for Stream<'_, C> {
    fn round(&mut self) {
        self.windows += 1;
        if self.side.is_first() { self.send_window() } else { self.receive_window() }
    }
}
