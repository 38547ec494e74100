//! The ranks' output: read from their pipes, written to the launcher's, line by line.
//!
//! Two ranks never share a line: each write is whole lines, or the part of a line that its writer
//! may finish before others go on. A reader that is slow stops the reading, not the launcher.

use super::lines::{CAPACITY, LineBuffer};
use crate::sys::io::{self, ATOMIC_WRITE, PollFd, PollFlags, Read};
use std::{
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

/// After this time a line without end is shown: it may be a prompt.
const PARTIAL_LINE_WAIT: Duration = Duration::from_millis(50);

/// So long the others wait for the rest of a line that is being written in pieces.
const LONG_LINE_WAIT: Duration = Duration::from_millis(50);

/// All pipes from ranks, and where they lead.
pub(super) struct Output {
    sources: Vec<Source>,
    sinks: Vec<Sink>,
    scratch: Box<[u8]>,
}

/// One stream of one rank.
struct Source {
    /// `None` once all writers have closed.
    pipe: Option<OwnedFd>,
    /// So many bytes are still to be read, if the job has ended.
    left: Option<usize>,
    lines: LineBuffer,
    /// Since when there has been a line without end.
    partial_since: Option<Instant>,
    sink: usize,
}

/// One of the launcher's streams.
struct Sink {
    name: &'static str,
    fd: OwnedFd,
    is_blocked: bool,
    unfinished: Option<Unfinished>,
    /// The source whose turn is next.
    turn: usize,
}

/// A line of which a part has been written.
#[derive(Clone, Copy)]
struct Unfinished {
    source: usize,
    /// Until then the others wait; later they start a new line.
    kept_until: Instant,
}

/// The launcher's stream can't be written any more.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) stream: &'static str,
    pub(super) error: std::io::Error,
}

impl Output {
    /// Forwards `pipes`, standard output and standard error of each rank in turn, to the two streams.
    pub(super) fn new(pipes: Vec<OwnedFd>, stdout: OwnedFd, stderr: OwnedFd) -> Self {
        let stderr_sink = usize::from(!io::is_same_file(stdout.as_fd(), stderr.as_fd()));
        let mut sinks = vec![Sink::new("stdout", stdout)];
        if stderr_sink == 1 {
            sinks.push(Sink::new("stderr", stderr));
        }
        let sink_of = |index: usize| if index.is_multiple_of(2) { 0 } else { stderr_sink };
        let sources = pipes.into_iter().enumerate().map(|(index, pipe)| Source::new(pipe, sink_of(index)));
        Self { sources: sources.collect(), sinks, scratch: vec![0; CAPACITY].into() }
    }

    /// What to poll before [`Self::serve`]: pipes while there is room, streams while they are full.
    pub(super) fn interests(&self) -> impl Iterator<Item = PollFd<'_>> {
        let sources = self.sources.iter().filter_map(Source::wanted);
        let sources = sources.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
        let sinks = self.sinks.iter().filter(|sink| sink.is_blocked);
        sources.chain(sinks.map(|sink| PollFd::new(sink.fd.as_fd(), PollFlags::POLLOUT)))
    }

    /// Reads and writes what it can. `ready` says, for each of [`Self::interests`], if it is.
    pub(super) fn serve(&mut self, ready: &[bool], now: Instant) -> Result<(), Broken> {
        let wanted = self.sources.iter_mut().filter(|source| source.wanted().is_some());
        for (source, _) in wanted.zip(ready).filter(|&(_, &is_ready)| is_ready) {
            source.read(&mut self.scratch, now);
        }
        (0..self.sinks.len()).try_for_each(|sink| self.write_to(sink, now))
    }

    /// When [`Self::serve`] has something to do even if nothing is ready.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.sources.iter().enumerate().filter_map(|(index, source)| self.deadline_of(index, source)).min()
    }

    fn deadline_of(&self, index: usize, source: &Source) -> Option<Instant> {
        let sink = &self.sinks[source.sink];
        if sink.is_blocked || source.lines.is_empty() {
            return None;
        }
        match sink.unfinished {
            Some(line) if line.source != index => Some(line.kept_until),
            _ => source.partial_since.map(|since| since + PARTIAL_LINE_WAIT),
        }
    }

    /// The ranks have ended: what their pipes hold now is still read, but their ends need not come;
    /// a process that the ranks left running may hold them open.
    pub(super) fn finish(&mut self) {
        for source in &mut self.sources {
            source.left = source.pipe.as_ref().map(io::unread);
            source.close_if_read();
        }
    }

    /// Whether everything has been read and written.
    pub(super) fn is_finished(&self) -> bool {
        self.sources.iter().all(|source| source.pipe.is_none() && source.lines.is_empty())
    }

    /// Ends a line that a rank has left without its end on standard error, so that the launcher's own
    /// line is one.
    pub(super) fn end_error_line(&mut self) {
        // The last one: both streams may be one.
        if let Some(sink) = self.sinks.last_mut()
            && sink.unfinished.take().is_some()
        {
            // What can't be written now can't be read with the report either.
            let _ = io::write(&sink.fd, b"\n");
        }
    }

    /// Drops what is left: nobody reads it. Ranks that go on writing get SIGPIPE.
    pub(super) fn close(&mut self) {
        self.sources.clear();
        self.sinks.clear();
    }

    fn write_to(&mut self, sink_index: usize, now: Instant) -> Result<(), Broken> {
        let sink = &mut self.sinks[sink_index];
        while let Some(index) = sink.next_source(sink_index, &self.sources, now) {
            sink.is_blocked = !io::has_room(sink.fd.as_fd()).map_err(|error| sink.broken(error))?;
            if sink.is_blocked || !sink.write(index, &mut self.sources[index], now)? {
                return Ok(());
            }
        }
        sink.is_blocked = false;
        Ok(())
    }
}

impl Source {
    fn new(pipe: OwnedFd, sink: usize) -> Self {
        Self { pipe: Some(pipe), left: None, lines: LineBuffer::default(), partial_since: None, sink }
    }

    /// The pipe, if more of it fits.
    fn wanted(&self) -> Option<&OwnedFd> {
        self.pipe.as_ref().filter(|_| self.lines.room() > 0)
    }

    fn read(&mut self, scratch: &mut [u8], now: Instant) {
        let Some(pipe) = &self.pipe else { return };
        let most = self.lines.room().min(self.left.unwrap_or(usize::MAX));
        match io::read(pipe, &mut scratch[..most]) {
            Read::Bytes(count) => {
                self.lines.push(&scratch[..count]);
                self.left = self.left.map(|left| left - count);
                self.note_partial_line(now);
                self.close_if_read();
            }
            Read::Nothing => {}
            Read::End => self.pipe = None,
        }
    }

    fn close_if_read(&mut self) {
        if self.left == Some(0) {
            self.pipe = None;
        }
    }

    fn note_partial_line(&mut self, now: Instant) {
        let has_partial_line = self.lines.has_partial_line();
        self.partial_since = has_partial_line.then(|| self.partial_since.unwrap_or(now));
    }

    /// What may be written now.
    fn piece(&self, now: Instant) -> &[u8] {
        let is_overdue = self.partial_since.is_some_and(|since| now >= since + PARTIAL_LINE_WAIT);
        self.lines.piece(is_overdue || self.pipe.is_none(), ATOMIC_WRITE - 1)
    }
}

impl Sink {
    fn new(name: &'static str, fd: OwnedFd) -> Self {
        Self { name, fd, is_blocked: false, unfinished: None, turn: 0 }
    }

    /// The source that may write next: the one whose line is unfinished, else each in turn.
    fn next_source(&self, own_index: usize, sources: &[Source], now: Instant) -> Option<usize> {
        let may_write = |index: &usize| {
            let source = &sources[*index];
            source.sink == own_index && !source.piece(now).is_empty()
        };
        if let Some(Unfinished { source, kept_until }) = self.unfinished {
            if may_write(&source) {
                return Some(source);
            }
            let may_go_on = sources[source].pipe.is_some();
            if may_go_on && now < kept_until {
                return None;
            }
        }
        (self.turn..sources.len()).chain(0..self.turn).find(may_write)
    }

    /// Writes a piece of the source; false if nothing could be written.
    fn write(&mut self, index: usize, source: &mut Source, now: Instant) -> Result<bool, Broken> {
        let is_foreign_line = self.unfinished.is_some_and(|line| line.source != index);
        let break_line: &[u8] = if is_foreign_line { b"\n" } else { b"" };
        let bytes = [break_line, source.piece(now)].concat();
        let count = io::write(&self.fd, &bytes).map_err(|error| self.broken(error))?;
        let Some(&last) = bytes[..count].last() else { return Ok(false) };
        source.lines.consume(count.saturating_sub(break_line.len()));
        // What is left of the line is younger than what has been written of it.
        source.partial_since = None;
        source.note_partial_line(now);
        self.unfinished =
            (last != b'\n').then(|| Unfinished { source: index, kept_until: now + LONG_LINE_WAIT });
        self.turn = index + 1;
        Ok(true)
    }

    fn broken(&self, error: std::io::Error) -> Broken {
        Broken { stream: self.name, error }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Bench {
        output: Output,
        ranks: Vec<OwnedFd>,
        stdout: OwnedFd,
        now: Instant,
    }

    /// Two ranks' standard outputs (their standard errors are closed) that lead to one pipe.
    fn bench() -> Bench {
        let (stdout, sink) = io::pipe().expect("tests have pipes");
        let (_, errors) = io::pipe().expect("tests have pipes");
        bench_into(stdout, sink, errors)
    }

    fn bench_into(stdout: OwnedFd, sink: OwnedFd, errors: OwnedFd) -> Bench {
        let (mut ranks, mut readers) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let ((reader, writer), (no_errors, _)) =
                (io::pipe().expect("tests have pipes"), io::pipe().expect("tests have pipes"));
            readers.extend([reader, no_errors]);
            ranks.push(writer);
        }
        Bench { output: Output::new(readers, sink, errors), ranks, stdout, now: Instant::now() }
    }

    impl Bench {
        fn print(&self, rank: usize, text: &str) {
            assert_eq!(
                io::write(&self.ranks[rank], text.as_bytes()).expect("the launcher reads"),
                text.len()
            );
        }

        fn serve(&mut self) {
            let ready = vec![true; self.output.interests().count()];
            self.output.serve(&ready, self.now).expect("stdout is open");
        }

        fn forwarded(&mut self) -> String {
            self.serve();
            let mut buffer = vec![0; 1 << 20];
            match io::read(&self.stdout, &mut buffer) {
                Read::Bytes(count) => String::from_utf8(buffer[..count].to_vec()).expect("text was printed"),
                Read::Nothing | Read::End => String::new(),
            }
        }

        fn wait(&mut self, time: Duration) {
            self.now += time;
        }
    }

    #[test]
    fn lines_of_two_ranks_are_not_mixed() {
        let mut bench = bench();
        bench.print(0, "from ");
        bench.print(1, "from 1\n");
        assert_eq!(bench.forwarded(), "from 1\n");
        bench.print(0, "0\n");
        assert_eq!(bench.forwarded(), "from 0\n");
    }

    #[test]
    fn a_line_left_open_on_standard_error_is_ended_before_the_launchers_own() {
        let (stdout, sink) = io::pipe().expect("tests have pipes");
        let errors = sink.try_clone().expect("tests have descriptors");
        let mut bench = bench_into(stdout, sink, errors);
        bench.print(0, "cut sho");
        bench.serve();
        bench.wait(PARTIAL_LINE_WAIT);
        bench.serve();
        assert_eq!(bench.forwarded(), "cut sho");
        bench.output.end_error_line();
        bench.output.end_error_line();
        assert_eq!(bench.forwarded(), "\n");
    }

    #[test]
    fn a_prompt_is_shown_after_a_while_and_others_start_a_line_of_their_own() {
        let mut bench = bench();
        bench.print(0, "name? ");
        assert_eq!(bench.forwarded(), "");
        bench.wait(PARTIAL_LINE_WAIT);
        assert_eq!(bench.forwarded(), "name? ");
        bench.print(1, "hello\n");
        assert_eq!(bench.forwarded(), "");
        bench.wait(LONG_LINE_WAIT);
        assert_eq!(bench.forwarded(), "\nhello\n");
    }

    #[test]
    fn what_waits_has_a_deadline_and_what_does_not_has_none() {
        let mut bench = bench();
        assert_eq!(bench.output.deadline(), None);
        bench.print(0, "name? ");
        bench.serve();
        assert_eq!(bench.output.deadline(), Some(bench.now + PARTIAL_LINE_WAIT));
        bench.wait(PARTIAL_LINE_WAIT);
        bench.serve();
        assert_eq!(bench.output.deadline(), None);
    }

    #[test]
    fn a_long_line_stays_in_one_piece_though_another_rank_prints() {
        let mut bench = bench();
        let long = "x".repeat(3 * CAPACITY);
        bench.print(0, &long);
        bench.serve();
        bench.print(1, "short\n");
        bench.print(0, "\n");
        let mut forwarded = String::new();
        for _ in 0..10 {
            forwarded += &bench.forwarded();
        }
        assert_eq!(forwarded, format!("{long}\nshort\n"));
    }

    #[test]
    fn a_slow_reader_stops_the_reading_and_loses_nothing() {
        let mut bench = bench();
        let line = "0123456789abcde\n";
        let mut printed = 0;
        while io::has_room(bench.ranks[0].as_fd()).unwrap() {
            bench.print(0, line);
            printed += 1;
            bench.serve();
        }
        assert!(bench.output.sources[0].wanted().is_none(), "memory is bounded");
        let mut forwarded = String::new();
        while forwarded.len() < printed * line.len() {
            let more = bench.forwarded();
            assert!(!more.is_empty() || bench.output.interests().count() > 0);
            forwarded += &more;
        }
        assert_eq!(forwarded, line.repeat(printed));
    }

    #[test]
    fn the_end_of_a_pipe_shows_the_last_line_without_its_end_and_adds_none() {
        let mut bench = bench();
        bench.print(0, "no newline");
        bench.ranks.clear();
        bench.serve();
        assert_eq!(bench.forwarded(), "no newline");
        assert!(bench.output.is_finished());
    }

    #[test]
    fn a_pipe_that_a_daemon_holds_open_is_read_to_its_present_end() {
        let mut bench = bench();
        bench.print(0, "last words");
        bench.output.finish();
        bench.serve();
        assert_eq!(bench.forwarded(), "last words");
        assert!(bench.output.is_finished());
    }

    #[test]
    fn a_reader_that_has_gone_is_named() {
        let Bench { mut output, ranks, stdout, now } = bench();
        drop(stdout);
        assert_eq!(io::write(&ranks[0], b"line\n").unwrap(), 5);
        let ready = vec![true; output.interests().count()];
        let broken = output.serve(&ready, now).unwrap_err();
        assert_eq!((broken.stream, broken.error.raw_os_error()), ("stdout", Some(libc::EPIPE)));
    }
}
