//! Lines from a stream, and what was read and not taken yet.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// Reads lines. A read that is given up loses nothing.
pub(super) struct Input {
    stream: Box<dyn AsyncRead + Send + Unpin>,
    /// Read and not taken.
    unread: Vec<u8>,
    /// How far `unread` was looked through for the end of a line.
    looked: usize,
    /// Whether the rest of a line is passed over, because it is too long.
    skipping: bool,
    max_line_bytes: usize,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A line, without its end.
    Line(Vec<u8>),
    /// A line that was too long, and is passed over.
    TooLong,
    /// Nothing more.
    End,
}

impl Input {
    /// Reads from a stream, after what another process had read of it.
    pub(super) fn new(
        stream: Box<dyn AsyncRead + Send + Unpin>,
        unread: Vec<u8>,
        skipping: bool,
        max_line_bytes: usize,
    ) -> Self {
        Self {
            stream,
            unread,
            looked: 0,
            skipping,
            max_line_bytes,
        }
    }

    /// What was read and not taken, and whether it begins inside of a line that is passed over.
    pub(super) fn unread(&self) -> (&[u8], bool) {
        (&self.unread, self.skipping)
    }

    /// Waits for the next line.
    pub(super) async fn next(&mut self) -> io::Result<Next> {
        loop {
            if let Some(next) = self.buffered() {
                return Ok(next);
            }
            self.unread.reserve(CHUNK);
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                // A line without an end was not meant to be one.
                return Ok(Next::End);
            }
        }
    }

    /// What is there already.
    fn buffered(&mut self) -> Option<Next> {
        loop {
            let fresh = &self.unread[self.looked..];
            let Some(end) = fresh.iter().position(|byte| *byte == b'\n') else {
                self.looked = self.unread.len();
                if self.skipping {
                    self.drop_to(self.unread.len());
                } else if self.unread.len() > self.max_line_bytes {
                    self.drop_to(self.unread.len());
                    self.skipping = true;
                    return Some(Next::TooLong);
                }
                return None;
            };
            let end = self.looked + end;
            if self.skipping {
                self.skipping = false;
                self.drop_to(end + 1);
                continue;
            }
            if end > self.max_line_bytes {
                self.drop_to(end + 1);
                return Some(Next::TooLong);
            }
            let mut line = self.unread[..end].to_vec();
            self.drop_to(end + 1);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if !line.is_empty() {
                return Some(Next::Line(line));
            }
        }
    }

    fn drop_to(&mut self, place: usize) {
        self.unread.drain(..place);
        self.looked = 0;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    fn input(stream: &'static [u8], unread: &[u8], skipping: bool) -> Input {
        Input::new(Box::new(stream), unread.to_vec(), skipping, 8)
    }

    async fn all(mut input: Input) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            match input.next().await.unwrap() {
                Next::Line(line) => all.push(String::from_utf8(line).unwrap()),
                Next::TooLong => all.push("too long".to_owned()),
                Next::End => return all,
            }
        }
    }

    #[tokio::test]
    async fn lines_come_one_by_one() {
        let lines = all(input(b"two\r\n\nthree\ncut", b"one\n", false)).await;
        assert_eq!(lines, ["one", "two", "three"]);
    }

    #[tokio::test]
    async fn a_partial_line_goes_on() {
        assert_eq!(all(input(b"lf\n", b"ha", false)).await, ["half"]);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_passed_over() {
        let lines = all(input(b"123456789\n12345678\n", b"", false)).await;
        assert_eq!(lines, ["too long", "12345678"]);
        assert_eq!(all(input(b"rest\nnext\n", b"the ", true)).await, ["next"]);
        let (mut client, server) = tokio::io::duplex(4);
        let mut slow = Input::new(Box::new(server), Vec::new(), false, 8);
        tokio::spawn(async move { client.write_all(b"1234567890123456\nab\n").await });
        assert_eq!(slow.next().await.unwrap(), Next::TooLong);
        assert_eq!(slow.next().await.unwrap(), Next::Line(b"ab".to_vec()));
    }

    #[tokio::test]
    async fn what_was_not_taken_is_handed_out() {
        let mut input = input(b"one\ntwo\nthr", b"", false);
        assert_eq!(input.next().await.unwrap(), Next::Line(b"one".to_vec()));
        assert_eq!(input.unread(), (b"two\nthr".as_slice(), false));
    }
}
