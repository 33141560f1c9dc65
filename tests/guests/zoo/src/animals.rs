//! Every animal: which clause of the conformance kit must fail it, and what it does wrong.
//!
//! `mortise-test-guests` compiles this file too: it makes one component of each animal.

/// Makes the enum and its tables.
macro_rules! animals {
    ($($animal:ident, $clause:literal, $about:literal;)+) => {
        /// A backend of the zoo.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Animal {
            $(#[doc = concat!("`", $clause, "`: ", $about, ".")] $animal,)+
        }

        impl Animal {
            /// All of them; the first breaks nothing, nor does the first of those over `sqlite`.
            pub const ALL: &[Self] = &[$(Self::$animal),+];

            /// The id of the clause that must fail it; empty where none may.
            pub fn clause(self) -> &'static str {
                match self { $(Self::$animal => $clause,)+ }
            }

            /// What it does wrong.
            pub fn about(self) -> &'static str {
                match self { $(Self::$animal => $about,)+ }
            }
        }
    };
}

/// What stands before the animal's number in the component's data.
pub const MARKER: &[u8; 16] = b"mortise-zoo-no. ";
/// How many decimal digits the number has.
pub const DIGITS: usize = 4;

impl Animal {
    /// Its name: `forgets-new-entries`.
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    /// Whether it keeps its records behind the capability `sqlite`.
    pub fn is_in_sqlite(self) -> bool {
        self as usize >= Self::HealthyInSqlite as usize
    }
}

animals! {
    Healthy, "", "breaks nothing";

    DescribesItselfAnew, "describe/stable", "has another version once it was opened";
    AsksTheClockWhoItIs, "describe/uses-no-capability", "calls the clock in `describe`";
    HasNoName, "describe/bounds", "describes itself with an empty name";
    CutsTheLargestBodies, "describe/largest-body", "promises bodies of 4 MiB, and keeps 3 of them";
    RefusesLargeBatches, "describe/largest-batch", "promises batches of 1,000, and takes 500";
    SaysPooled, "describe/pooled", "says that it is pooled, and keeps its records in the instance";
    TakesAnyOption, "open/unknown-option", "takes options that it does not know";
    OverfillsPages, "open/max-page-bytes", "fills a page by its limit alone";
    OverfillsLoadMany, "open/max-page-bytes", "answers `load-many` whatever the size";
    SkipsOversizedRecords, "open/max-page-bytes", "leaves a record out that is larger than a page";
    GrowsWithoutLimit, "open/max-store-bytes", "does not look at `max-store-bytes`";
    GetsNoRoomBack, "open/max-store-bytes", "counts what was deleted as if it were there";
    FallsIll, "health/answers", "traps in `health`, once it was opened";

    TakesEmptyForAbsent, "values/empty-body", "reads a record with an empty body as absent";
    CutsBodiesAt64Kib, "values/one-mebibyte", "keeps 65,535 bytes of a body";
    EndsBodiesAtNul, "values/all-bytes", "ends a body at its first NUL";
    ReadsBodiesAsText, "values/all-bytes", "replaces what is no UTF-8";
    EndsKeysAtNul, "values/odd-keys", "compares ids up to the first NUL";
    IgnoresCaseOfKeys, "values/case", "compares ids in lower case";
    ComposesKeys, "values/normal-forms", "compares ids in a composed form";
    TrimsKeys, "values/blanks", "compares ids without the blanks around them";
    RefusesLongIds, "values/longest-key", "refuses ids of more than 255 bytes";
    CutsLongIds, "values/long-keys-differ", "compares the first 1,000 bytes of an id";
    SortsAttributes, "values/attributes-kept", "gives attributes back in the order of their names";
    DropsEmptyValues, "values/attributes-kept", "keeps no attribute with an empty value";
    KeepsSomeAttributes, "values/most-attributes", "keeps 1,024 attributes of a record";
    TrapsOnManyAttributes, "values/most-attributes", "traps on 4,096 attributes";

    CountsByCollection, "revisions/ascending", "counts revisions in each collection by itself";
    SkipsRevisions, "revisions/one-for-each-write", "takes two revisions for each write";
    OneRevisionABatch, "revisions/one-for-each-write", "takes one revision for a whole batch";
    DeletesWithoutRevision, "revisions/one-for-each-write", "takes no revision for a delete";
    ReusesRevisions, "revisions/never-reused", "counts on from the highest revision that is there";
    CreatesAnewOnUpdate, "revisions/create-kept", "gives an updated record a new create-revision";
    KeepsTheModRevision, "revisions/create-kept", "keeps the mod-revision on update";
    ForgetsWhenItWasCreated, "stamps/created-at", "changes `created-at` on update";
    AnswersAnotherStamp, "revisions/answered-is-stored", "answers another `updated-at` than it keeps";
    NumbersBatchesBackwards, "revisions/batch-order", "gives the last write of a batch the lowest revision";
    CountsTimeInSeconds, "stamps/created-at", "rounds `created-at` to the second";
    NeverTouchesUpdatedAt, "stamps/updated-at", "keeps `updated-at` on update";
    TrustsTheClock, "stamps/clock-steps-back", "refuses to write when the clock stepped back";

    OverwritesOnCreate, "create/already-exists", "creates a record over the one that is there";
    RaisesForTheAbsent, "load/absent", "answers a load of nothing with `not-found`";
    SortsLoadMany, "load-many/in-order", "answers `load-many` in the order of the keys";
    LeavesOutTheAbsent, "load-many/in-order", "answers `load-many` without the absent";
    MergesAttributes, "update/replaces", "keeps the old attributes beside the new ones";
    CreatesOnUpdate, "update/not-found", "creates a record where there is none to update";
    ExpectsTheCreateRevision, "update/expected", "compares the revision expected with the create-revision";
    IgnoresExpectedRevisions, "update/stale", "updates whatever revision is expected";
    ShowsTheRefusedInConflicts, "update/stale", "answers a conflict with what was to be written";
    TakesStaleForMissing, "update/stale", "answers a stale update with `not-found`";
    DeletesNothing, "delete/removes", "answers a delete, and keeps the record";
    DeletesFromLoadOnly, "delete/removes", "still exports what was deleted";
    DeletesTheAbsent, "delete/not-found", "succeeds in deleting what is not there";
    NeverDeletesTheExpected, "delete/expected", "takes every revision that a delete expects for stale";
    DeletesTheStale, "delete/stale", "deletes whatever revision is expected";
    RecreatesOnPut, "put/none", "gives a record that is put over another a new create-revision";
    CreatesOnPutPresent, "put/present", "creates what a put expects to be present";
    ReplacesOnPutAbsent, "put/absent", "replaces what a put expects to be absent";
    CreatesWhatChanged, "put/unchanged-since", "creates what a put expects to be unchanged";
    RefusesToRemoveNothing, "remove/none", "raises `not-found` for a removal that expects nothing";
    RemovesWithoutRevision, "remove/none", "takes no revision for the removal of nothing";
    RemovesTheAbsent, "remove/present", "succeeds in removing what is expected to be present";

    IgnoresAttributes, "find/by-attribute", "finds every record, whatever its attributes";
    ListsTheLastValue, "find/several-values", "finds a record by the last value of a name alone";
    FindsOnceForEachValue, "find/several-values", "finds a record once for each value of the name";
    FindsAny, "find/and", "finds records that carry one of the pairs";
    IgnoresNames, "find/name-counts", "finds a value under any name";
    IgnoresCaseOfValues, "find/exact-value", "compares attribute values in lower case";
    ComposesValues, "find/exact-value", "compares attribute values in a composed form";
    TrimsValues, "find/exact-value", "compares attribute values without the blanks around them";
    MatchesPrefixes, "find/exact-value", "finds values that begin with the one asked for";
    KnowsWildcards, "find/exact-value", "takes a % for any text";
    ForgetsNewEntries, "find/after-update", "does not list a record under the pairs that an update brought";
    KeepsOldEntries, "find/after-update", "finds the record of before an update by its old pairs";
    KeepsEntriesOfTheDeleted, "find/after-delete", "finds deleted records by attribute";
    ListsNoBatches, "find/after-batch", "does not list the records of a batch by attribute";
    UnlistsUnchangedPairs, "find/unchanged-pairs", "removes the entries of the old record after it made those of the new";
    AlwaysGivesBodies, "find/without-bodies", "gives bodies that nobody asked for";
    LeavesOutAttributes, "find/without-bodies", "leaves out attributes together with bodies";
    GoesOnAfterNothing, "find/nothing", "answers an empty page with a next";
    NeverEnds, "find/nothing", "answers one empty page after another";
    OrdersCreatedByUpdate, "order/created", "sorts by mod-revision where create order is asked for";
    OrdersUpdatedByCreation, "order/updated", "sorts by create-revision where update order is asked for";
    IgnoresDescending, "order/descending", "sorts ascending whatever is asked for";
    SkipsOneAPage, "paging/size-one", "leaves out the first record of each page but the first";
    EndsAfterOnePage, "paging/size-one", "never answers a next";
    GoesOnAfterTheLast, "paging/last-page", "answers a next after the last record";
    RefusesLargePages, "paging/largest", "refuses pages of more than 500";
    PagesFromTheEnd, "paging/across-creates", "counts in its cursors how many records are left";
    CursorNeedsItsVersion, "paging/across-updates", "refuses a cursor whose record was updated";
    PagesByOffset, "paging/across-deletes", "counts in its cursors how many records went before";
    CursorNeedsItsRecord, "paging/across-deletes", "refuses a cursor whose record was deleted";
    FeedsByCreation, "paging/feed", "starts a page in update order behind a create-revision";
    TakesAnyCursor, "paging/foreign-cursor", "starts anew at a cursor that it cannot read";
    TakesCursorsOfOthers, "paging/foreign-cursor", "takes the cursors of other queries";
    CursorKnowsTheLimit, "paging/limit-may-differ", "refuses a cursor of a page with another limit";

    ExpiresLate, "expiry/boundary", "shows a record for one millisecond too long";
    RefusesThePast, "expiry/past", "refuses drafts that expired already";
    LoadManyShowsTheExpired, "expiry/load-many", "answers expired records in `load-many`";
    FindShowsTheExpired, "expiry/find", "finds expired records";
    ListsTheExpired, "expiry/find-by-attribute", "finds expired records by attribute";
    ExportsTheExpired, "expiry/export", "exports expired records";
    CountsTheExpired, "expiry/statistics", "counts expired records";
    UpdatesTheExpired, "expiry/update", "updates expired records";
    DeletesTheExpired, "expiry/delete", "deletes expired records as if they were there";
    TheExpiredHoldTheirKey, "expiry/create", "refuses to create over an expired record";
    TakesTheExpiredForUnchanged, "expiry/apply", "takes an expired record for one that is unchanged";
    RecreatesWithOldEntries, "expiry/recreated-entries", "finds a record by the pairs of an expired one before it";
    KeepsTheOldExpiry, "expiry/prolonged", "keeps the old expiry on update";
    NeverRemovesExpiry, "expiry/removed", "keeps the old expiry where an update has none";
    SweepsTheLiving, "expiry/sweep", "sweeps whatever has an expiry";
    SweepsWithoutLimit, "expiry/sweep", "sweeps more than its limit";
    SweepsTheYoungest, "expiry/sweep", "sweeps what expired last first";
    SweepsWithRevisions, "expiry/sweep", "takes a revision for what it sweeps";
    ExpiredFillPages, "expiry/pages", "ends on a page that expired records made short";

    DropsTheLastWrite, "batch/all", "answers the last write of a batch, and does not do it";
    HalfApplies, "batch/nothing-on-failure", "checks each write of a batch when its turn comes";
    ListsTheRejected, "batch/nothing-on-failure", "leaves the entries of a rejected batch";
    BlamesTheFirst, "batch/names-the-write", "names the first write of a rejected batch";
    BlamesTheNext, "batch/names-the-write", "counts the writes of a batch from 1";
    TakesARevisionForNothing, "batch/empty", "takes a revision for an empty batch";
    OneCollectionABatch, "batch/mixed-collections", "writes a batch to the collection of its first write";

    ExportsSomeCollections, "transfer/export-all", "does not export the last collection";
    ExportsByKey, "transfer/export-all", "sorts each page of an export by key";
    ImportsWithNewStamps, "transfer/round-trip", "gives imported records new revisions";
    ImportsWithoutEntries, "transfer/round-trip", "does not list imported records by attribute";
    FallsBehindImports, "transfer/continues-above", "counts on from before an import";
    RefusesToImportTwice, "transfer/import-twice", "takes the same record, imported again, for a conflict";
    ImportsOverOthers, "transfer/import-conflict", "replaces another record under the key of an imported one";
    HalfImports, "transfer/import-conflict", "imports what stands before a conflict";
    TakesRevisionsTwice, "transfer/import-clash", "imports a revision that another record carries";
    ClearsAll, "transfer/clear-collection", "clears all collections when asked to clear one";
    ClearCountsTheExpired, "transfer/clear-collection", "counts expired records among the cleared";
    ClearsWithoutEntries, "transfer/clear-collection", "finds cleared records by attribute";
    ClearsHalf, "transfer/clear-all", "keeps the last collection when asked to clear all";
    ClearsRevisions, "transfer/clear-revisions", "counts from 1 again after a clear";
    CountsIds, "transfer/statistics", "counts ids among the bytes of bodies";
    CountsBackwards, "transfer/statistics", "answers the last collection first";
    CountsTheEmpty, "transfer/statistics", "lists collections that hold nothing any more";
    ExportTakesAnyCursor, "transfer/foreign-cursor", "starts an export anew at a cursor that it cannot read";

    KeepsOneCollection, "isolation/collections", "keeps one record for an id, whatever its collection";
    SaysDurable, "durability/reopen", "says that it is durable, and keeps its records in the instance";
    ForgetsNowAndThen, "model/random", "does not list what is written at every seventh revision";

    HealthyInSqlite, "", "breaks nothing, and keeps its records behind `sqlite`";

    WritesOverOthers, "concurrency/compare-and-set", "writes without looking whether others wrote meanwhile";
    CreatesUnseen, "concurrency/one-creator", "creates without looking whether others did meanwhile";
    CommitsWriteByWrite, "concurrency/whole-batches", "makes a transaction of each write of a batch";
    ReadsACache, "concurrency/linearizable", "answers reads from what its instance saw last";
    AnswersBeforeItWrites, "durability/kill", "writes when the next call comes";
    MakesTwoTransactions, "faults/io-error", "writes records and their entries in two transactions";
    SwallowsErrors, "faults/io-error", "answers a failed transaction as if it had succeeded";
    CallsBusyInternal, "faults/busy", "answers `internal` where the database is busy";
    CallsFullInternal, "faults/full", "answers `internal` where the database is full";
    RetriesBlindly, "faults/lost-answer", "tries a write again whose answer was lost";
    CallsTheLostUndone, "faults/lost-answer", "answers `unavailable` where a write may have happened";
    ReadsErrorsAsAbsent, "faults/read-errors", "takes a database that it cannot read for an empty one";
}
