//! Exports and backups in fewer bytes: gzip and zstd, streamed.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

/// What a gzip file begins with (RFC 1952).
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
/// What a zstd file begins with (RFC 8878).
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// How much of a compressed file is decompressed at once, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// By the end of a file's name: `.gz` or `.zst`.
    pub fn of_name(file: &Path) -> Self {
        let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
        match extension.to_str() {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            _ => Self::None,
        }
    }

    /// By what a file begins with.
    fn of_content(head: &[u8]) -> Self {
        if head.starts_with(GZIP_MAGIC) {
            Self::Gzip
        } else if head.starts_with(ZSTD_MAGIC) {
            Self::Zstd
        } else {
            Self::None
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// Compresses what is written. Only [`finish`](Self::finish) makes it whole.
pub enum Encoder<W: Write> {
    None(W),
    Gzip(Box<GzEncoder<W>>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    pub fn new(compression: Compression, to: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::None(to),
            Compression::Gzip => {
                let level = flate2::Compression::default();
                Self::Gzip(Box::new(GzEncoder::new(to, level)))
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(to, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
        })
    }

    /// Ends the file.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::None(mut to) => to.flush().map(|()| to),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(to) => to.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(to) => to.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// What was compressed, whatever the name says: a pipe has none.
pub fn decoded(mut from: Box<dyn BufRead>) -> io::Result<Box<dyn BufRead>> {
    let mut head = Vec::new();
    (&mut from)
        .take(ZSTD_MAGIC.len() as u64)
        .read_to_end(&mut head)?;
    let compression = Compression::of_content(&head);
    let from = io::Cursor::new(head).chain(from);
    let decoder: Box<dyn Read> = match compression {
        Compression::None => return Ok(Box::new(from)),
        Compression::Gzip => Box::new(MultiGzDecoder::new(from)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(from)?),
    };
    let named = Named {
        decoder,
        compression,
    };
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, named)))
}

/// Has errors say what could not be decompressed.
struct Named {
    decoder: Box<dyn Read>,
    compression: Compression,
}

impl Read for Named {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let compression = self.compression;
        self.decoder.read(buffer).map_err(|error| {
            let what = match error.kind() {
                io::ErrorKind::UnexpectedEof => "was cut off",
                io::ErrorKind::Interrupted => return error,
                _ => "is damaged",
            };
            io::Error::new(
                error.kind(),
                format!("the {compression} data {what}: {error}"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(compression: Compression, text: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::new(compression, Vec::new()).unwrap();
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        decoded(Box::new(io::Cursor::new(bytes.to_vec())))?.read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn what_was_compressed_is_known_by_its_first_bytes() {
        let text = b"{\"format\":\"mortise-export\"}\n".repeat(10_000);
        for name in ["a.jsonl", "a.gz", "a.jsonl.ZST", "gz"] {
            let compression = Compression::of_name(Path::new(name));
            let bytes = encoded(compression, &text);
            assert!(decode(&bytes).unwrap() == text, "{name}");
            let smaller = bytes.len() < text.len() / 10;
            assert_eq!(smaller, compression != Compression::None, "{name}");
        }
        for short in [&b""[..], b"{", b"\x1f", b"{}\n"] {
            assert_eq!(decode(short).unwrap(), short);
        }
    }

    #[test]
    fn files_that_were_joined_are_read_to_the_end() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let joined = [encoded(compression, b"one "), encoded(compression, b"two")];
            assert_eq!(
                decode(&joined.concat()).unwrap(),
                b"one two",
                "{compression}"
            );
        }
    }

    #[test]
    fn a_file_that_was_cut_off_or_damaged_is_an_error() {
        let mut text = Vec::new();
        for number in 0..20_000_u32 {
            text.extend(number.wrapping_mul(2_654_435_761).to_le_bytes());
        }
        for compression in [Compression::Gzip, Compression::Zstd] {
            let bytes = encoded(compression, &text);
            for end in [4, 20, bytes.len() / 2, bytes.len() - 1] {
                let error = decode(&bytes[..end]).unwrap_err();
                let said = error.to_string();
                assert!(
                    said.starts_with(&format!("the {compression} data was cut off")),
                    "{end}: {said}"
                );
            }
            let mut flipped = bytes.clone();
            flipped[bytes.len() / 2] ^= 0x10;
            assert!(decode(&flipped).is_err(), "{compression}");
            let mut longer = bytes;
            longer.extend(b"more");
            assert!(decode(&longer).is_err(), "{compression}");
        }
    }
}
