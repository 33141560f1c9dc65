//! What a store was given, against which what it gives back is held.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _};

use sha2::{Digest as _, Sha256};
use tempfile::SpooledTempFile;

use mortise_store::inside::{ErrorInside as _, StoreInside as _};
use mortise_store::{
    Digest, Error, ErrorKind, Operation, Result, Revision, Store, Stored, Timestamp,
};

use crate::line::{self, digest_of};
use crate::pages::Records;

/// How much of it is kept in memory: the entries of 700,000 records. The rest goes to a temporary file.
const MAX_MEMORY_BYTES: usize = 16 << 20;
/// How many bytes an entry has.
const ENTRY_BYTES: usize = 24;

/// Records in the order of their creation: how many, the digest of their lines, and an entry for each.
///
/// The entries tell which record is missing or another one; and they are what makes it possible to pass
/// over records that were not given, and over those that expired on the way.
pub struct Ledger {
    operation: Operation,
    records: u64,
    sha256: Sha256,
    hasher: RandomState,
    entries: BufWriter<SpooledTempFile>,
    line: Vec<u8>,
}

/// One record: which, until when it is there, and what it is.
struct Entry {
    create_revision: Revision,
    /// The end of time where it never expires.
    expires_at: Timestamp,
    hash: u64,
}

impl Entry {
    fn to_bytes(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let fields = [self.create_revision, self.expires_at, self.hash];
        for (place, field) in bytes.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: [u8; ENTRY_BYTES]) -> Self {
        let [create_revision, expires_at, hash] = std::array::from_fn(|field| {
            u64::from_le_bytes(std::array::from_fn(|byte| bytes[field * 8 + byte]))
        });
        Self {
            create_revision,
            expires_at,
            hash,
        }
    }
}

impl Ledger {
    /// An empty one; `operation` is what its errors are of.
    pub fn new(operation: Operation) -> Self {
        Self {
            operation,
            records: 0,
            sha256: Sha256::new(),
            hasher: RandomState::new(),
            entries: BufWriter::new(SpooledTempFile::new(MAX_MEMORY_BYTES)),
            line: Vec::new(),
        }
    }

    /// How many records it has.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Of the lines of all records, as an export has them.
    pub fn digest(&self) -> Digest {
        digest_of(self.sha256.clone())
    }

    /// Enters a record, which was created after the one before.
    pub fn enter(&mut self, stored: &Stored) -> Result<()> {
        let operation = self.operation;
        let entry = Entry {
            create_revision: stored.stamp.create_revision,
            expires_at: stored.draft.expires_at.unwrap_or(Timestamp::MAX),
            hash: self.read(stored).map_err(|error| lost(operation, error))?,
        };
        self.records += 1;
        self.sha256.update(&self.line);
        self.entries
            .write_all(&entry.to_bytes())
            .map_err(|error| lost(operation, error))
    }

    /// Reads all of `store`, and makes sure that every record is there as it was entered. Records that were
    /// not entered are passed over; those that expired may be gone: how many are.
    ///
    /// # Errors
    ///
    /// `Internal`: records are missing or others; those of [`Store::export`].
    pub async fn check(mut self, store: &Store, mut progress: impl FnMut(u64)) -> Result<u64> {
        let operation = self.operation;
        let mut entries = self.turn_back().map_err(|error| lost(operation, error))?;
        let (mut sha256, mut found) = (Sha256::new(), Found::default());
        let mut records = Records::of(store);
        let mut record = records.next().await?;
        for number in 1..=self.records {
            let mut bytes = [0; ENTRY_BYTES];
            entries
                .read_exact(&mut bytes)
                .map_err(|error| lost(operation, error))?;
            let entry = Entry::from_bytes(bytes);
            let revision = |record: &Option<Stored>| {
                let stamp = record.as_ref().map(|record| record.stamp);
                stamp.map(|stamp| stamp.create_revision)
            };
            while revision(&record).is_some_and(|revision| revision < entry.create_revision) {
                record = records.next().await?;
            }
            match record.take_if(|record| record.stamp.create_revision == entry.create_revision) {
                Some(kept) => {
                    let hash = self.read(&kept).map_err(|error| lost(operation, error))?;
                    sha256.update(&self.line);
                    if hash != entry.hash {
                        found.changed(&kept);
                    }
                    record = records.next().await?;
                }
                None if entry.expires_at <= store.now() => found.expired += 1,
                None => found.missing(entry.create_revision),
            }
            if number % 1000 == 0 {
                progress(number);
            }
        }
        progress(self.records);
        let whole = found.expired > 0 || digest_of(sha256) == self.digest();
        match found.first {
            None if whole => Ok(found.expired),
            first => Err(Error::new(
                ErrorKind::Internal,
                operation,
                format!(
                    "of {} records, the store gives back {} as others and {} not at all: {}",
                    self.records,
                    found.changed,
                    found.missing,
                    first.unwrap_or_else(|| "their digest is another".to_owned())
                ),
            )
            .with_backend(store.backend())
            .with_hint(
                "somebody wrote to it meanwhile, or its backend does not keep what it is given \
                 (`mortise plugin test` finds that out): clear the store, and begin anew",
            )),
        }
    }

    /// The entries, from the first on.
    fn turn_back(&mut self) -> io::Result<BufReader<SpooledTempFile>> {
        let nothing = BufWriter::new(SpooledTempFile::new(0));
        let entries = std::mem::replace(&mut self.entries, nothing);
        let mut entries = entries.into_inner()?;
        entries.rewind()?;
        Ok(BufReader::new(entries))
    }

    /// Leaves the record's line in `line`, and answers its hash.
    fn read(&mut self, stored: &Stored) -> io::Result<u64> {
        self.line.clear();
        line::write_record(&mut self.line, stored)?;
        Ok(self.hasher.hash_one(&self.line))
    }
}

/// What is not as it was entered.
#[derive(Default)]
struct Found {
    missing: u64,
    changed: u64,
    expired: u64,
    first: Option<String>,
}

impl Found {
    fn missing(&mut self, create_revision: Revision) {
        self.missing += 1;
        self.first.get_or_insert_with(|| {
            format!("the record with create-revision {create_revision} is missing")
        });
    }

    fn changed(&mut self, stored: &Stored) {
        self.changed += 1;
        let key = stored.key();
        self.first
            .get_or_insert_with(|| format!("{key} is another one"));
    }
}

fn lost(operation: Operation, error: io::Error) -> Error {
    let what = "the list of what was written cannot be kept in the temporary folder";
    Error::new(ErrorKind::Io, operation, what).with_source(error)
}
