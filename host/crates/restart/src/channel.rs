//! One JSON object a line between two processes, over a Unix socket, and with it open files.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// How long a line may be.
pub(super) const MAX_LINE_BYTES: usize = 1 << 20;
/// How many files one line may bring.
pub(super) const MAX_FILES: usize = 64;
/// How much is read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// Either end.
pub(super) struct Channel {
    stream: UnixStream,
    /// What came and is not a whole line yet.
    read: Vec<u8>,
    /// Files that came with lines that are not taken yet.
    files: VecDeque<OwnedFd>,
}

/// A line as it is written: how many files belong to it, and the message.
#[derive(Serialize, Deserialize)]
struct Envelope<M> {
    #[serde(default, skip_serializing_if = "is_zero")]
    files: usize,
    message: M,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Why nothing more comes.
#[derive(Debug)]
pub(super) enum Broken {
    /// The other end is gone.
    Gone,
    /// What came is none of this protocol.
    Garbage(String),
    /// The socket failed.
    Io(io::Error),
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            read: Vec::new(),
            files: VecDeque::new(),
        }
    }

    /// Both ends of a new one; the second is for another process.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        Ok((Self::from_fd(ours.into())?, theirs.into()))
    }

    /// An end that came from another process.
    pub(super) fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let stream = std::os::unix::net::UnixStream::from(fd);
        stream.set_nonblocking(true)?;
        Ok(Self::new(UnixStream::from_std(stream)?))
    }

    /// Sends a message, and copies of open files with it. To be awaited to its end: a line that is begun belongs
    /// to be ended.
    pub(super) async fn send(
        &self,
        message: &impl Serialize,
        files: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        if files.len() > MAX_FILES {
            let what = format!(
                "{} files at once, expected at most {MAX_FILES}",
                files.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let envelope = Envelope {
            files: files.len(),
            message,
        };
        let mut line = serde_json::to_vec(&envelope)?;
        line.push(b'\n');
        let mut rest = &line[..];
        // The files go with the first byte.
        let mut files = files;
        while !rest.is_empty() {
            let sent = self.stream.async_io(Interest::WRITABLE, || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if !files.is_empty() {
                    control.push(SendAncillaryMessage::ScmRights(files));
                }
                let sent = rustix::net::sendmsg(
                    self.stream.as_fd(),
                    &[IoSlice::new(rest)],
                    &mut control,
                    SendFlags::NOSIGNAL,
                )?;
                Ok(sent)
            });
            rest = &rest[sent.await?..];
            files = &[];
        }
        Ok(())
    }

    /// The next message, and the files that came with it. What was read before it was given up is kept.
    pub(super) async fn receive<M: DeserializeOwned>(
        &mut self,
    ) -> Result<(M, Vec<OwnedFd>), Broken> {
        let mut looked = 0;
        let end = loop {
            let found = self.read[looked..].iter().position(|byte| *byte == b'\n');
            if let Some(end) = found {
                break looked + end;
            }
            looked = self.read.len();
            if looked > MAX_LINE_BYTES {
                let what = format!("a line of more than {MAX_LINE_BYTES} bytes");
                return Err(Broken::Garbage(what));
            }
            self.fill().await?;
        };
        let line: Vec<u8> = self.read.drain(..=end).collect();
        let Envelope { files, message } = serde_json::from_slice(&line)
            .map_err(|error| Broken::Garbage(format!("a line that is not understood: {error}")))?;
        if files > self.files.len() {
            let what = format!("{} files where {files} were told", self.files.len());
            return Err(Broken::Garbage(what));
        }
        Ok((message, self.files.drain(..files).collect()))
    }

    /// Reads some more, and keeps what came.
    async fn fill(&mut self) -> Result<(), Broken> {
        let (stream, read, files) = (&self.stream, &mut self.read, &mut self.files);
        let mut received = || {
            let mut chunk = [0; CHUNK_BYTES];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let received = rustix::net::recvmsg(
                stream.as_fd(),
                &mut [IoSliceMut::new(&mut chunk)],
                &mut control,
                RECEIVE,
            )?;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(came) = message {
                    files.extend(came);
                }
            }
            read.extend_from_slice(&chunk[..received.bytes]);
            Ok(received.bytes)
        };
        let received = stream.async_io(Interest::READABLE, &mut received).await;
        if self.files.len() > MAX_FILES {
            return Err(Broken::Garbage("more files than were told".to_owned()));
        }
        match received {
            Ok(0) => Err(Broken::Gone),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(Broken::Gone),
            Err(error) => Err(Broken::Io(error)),
        }
    }
}

/// Files are not to be inherited further by chance.
#[cfg(not(any(target_vendor = "apple", target_os = "aix")))]
const RECEIVE: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(any(target_vendor = "apple", target_os = "aix"))]
const RECEIVE: RecvFlags = RecvFlags::empty();

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the other end is gone"),
            Self::Garbage(what) => write!(f, "the other end sent {what}"),
            Self::Io(error) => write!(f, "the socket failed: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Said {
        Number(u64),
        Text { text: String },
        Nothing,
    }

    fn pair() -> (Channel, Channel) {
        let (one, other) = Channel::pair().unwrap();
        (one, Channel::from_fd(other).unwrap())
    }

    #[tokio::test]
    async fn messages_come_in_their_order_with_their_files() {
        let (one, mut other) = pair();
        let mut files = [tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()];
        for (number, file) in files.iter_mut().enumerate() {
            write!(file, "file {number}").unwrap();
        }
        one.send(&Said::Number(1), &[]).await.unwrap();
        one.send(&Said::Nothing, &[files[0].as_fd(), files[1].as_fd()])
            .await
            .unwrap();
        one.send(&Said::Number(2), &[files[1].as_fd()])
            .await
            .unwrap();
        drop(one);
        let (said, came) = other.receive::<Said>().await.unwrap();
        assert_eq!((said, came.len()), (Said::Number(1), 0));
        let (said, came) = other.receive::<Said>().await.unwrap();
        assert_eq!((said, came.len()), (Said::Nothing, 2));
        for (number, came) in came.into_iter().enumerate() {
            let (mut file, mut text) = (std::fs::File::from(came), String::new());
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, format!("file {number}"));
        }
        let (said, came) = other.receive::<Said>().await.unwrap();
        assert_eq!((said, came.len()), (Said::Number(2), 1));
        assert!(matches!(other.receive::<Said>().await, Err(Broken::Gone)));
    }

    #[tokio::test]
    async fn a_message_may_be_as_large_as_a_line_may() {
        let (one, mut other) = pair();
        let text = "x".repeat(MAX_LINE_BYTES - 100);
        let said = Said::Text { text };
        let (sent, came) = tokio::join!(one.send(&said, &[]), other.receive::<Said>());
        sent.unwrap();
        assert_eq!(came.unwrap().0, said);
    }

    async fn broken(bytes: &[u8]) -> String {
        let (mut one, other) = UnixStream::pair().unwrap();
        let mut channel = Channel::new(other);
        let writing = async {
            // The other end may stop reading.
            let _ = one.write_all(bytes).await;
            drop(one);
        };
        let reading = async {
            let error = channel.receive::<Said>().await.unwrap_err();
            drop(channel);
            error
        };
        tokio::join!(writing, reading).1.to_string()
    }

    #[tokio::test]
    async fn what_is_none_of_the_protocol_is_named() {
        for (bytes, expected) in [
            (&b""[..], "the other end is gone"),
            (b"{\"message\":{\"number\":1}}", "the other end is gone"),
            (b"\n", "a line that is not understood: EOF"),
            (b"\0\xff\xfe\n", "a line that is not understood"),
            (
                b"{\"message\":{\"number\":-1}}\n",
                "a line that is not understood",
            ),
            (b"{\"message\":{\"dance\":1}}\n", "unknown variant `dance`"),
            (
                b"{\"files\":1,\"message\":{\"number\":1}}\n",
                "0 files where 1 were told",
            ),
            (&[b'x'; 2 * MAX_LINE_BYTES], "a line of more than"),
        ] {
            let told = broken(bytes).await;
            assert!(told.contains(expected), "{told}");
        }
    }
}
