"""A whole backend over records in the component's own memory.

`backend(Records)` answers the three classes that a component exports, one for each interface in
`wit/store.wit`. `Records` keeps what it is given and knows no rules; it has `description`, and

- `get(key)`: the record under a key, or None;
- `all()`: every record, in any order;
- `insert(record)`: keeps a record; there is none under its key;
- `remove(key)`: gives the record under a key up, if there is one.
"""

from dataclasses import replace

from componentize_py_types import Err
from wit_world.exports.transfer import CollectionStatistics
from wit_world.imports import clock
from wit_world.imports.types import (
    Error_Conflict,
    Error_Internal,
    Error_Invalid,
    Error_TooLarge,
    Order,
    Precondition_Absent,
    Precondition_Present,
    Precondition_UnchangedSince,
    Put,
    Rejection,
    Remove,
    Stamp,
    Stored,
    Write_Put,
    Write_Remove,
)

import rules

LAST_REVISION = 2**63 - 1

NOT_OPEN = Error_Internal("a call came before open")

# The one store of this instance: none before `open`.
opened = None


def shelf():
    if opened is None:
        raise Err(NOT_OPEN)
    return opened


class Shelf:
    """The records, expired ones too until they are swept, and the last write's revision."""

    def __init__(self, records, max_page_bytes, max_store_bytes):
        self.records = records
        self.max_page_bytes = max_page_bytes
        self.max_store_bytes = max_store_bytes
        self.cost = 0
        self.revision = 0

    def get(self, key, now):
        record = self.records.get(key)
        return None if record is None or rules.is_expired(record, now) else record

    def unexpired(self, now):
        return [record for record in self.records.all() if not rules.is_expired(record, now)]

    def put(self, record):
        self.take(record.draft.key)
        self.cost += rules.cost(record.draft)
        self.records.insert(record)

    def take(self, key):
        record = self.records.get(key)
        if record is not None:
            self.cost -= rules.cost(record.draft)
            self.records.remove(key)

    def write(self, batch):
        """All writes or none: each one is checked before the first one happens."""
        now, more = clock.now(), 0
        for index, write in enumerate(batch):
            key = rules.key_of(write)
            current = self.get(key, now)
            error = rules.broken(write.value.expect, key, current)
            if error:
                raise Err(Rejection(index, error))
            more += rules.cost(write.value.draft) if isinstance(write, Write_Put) else 0
            more -= rules.cost(current.draft) if current else 0
        if len(batch) > LAST_REVISION - self.revision:
            raise Err(Rejection(0, Error_Internal("the revisions are used up")))
        if not self.has_room(more, now):
            raise Err(Rejection(0, self.full()))
        return [self.write_one(write, now) for write in batch]

    def write_one(self, write, now):
        self.revision += 1
        stamp = Stamp(self.revision, self.revision, now, now)
        key = rules.key_of(write)
        if current := self.get(key, now):
            created = current.stamp
            stamp = replace(stamp, create_revision=created.create_revision, created_at=created.created_at)
        self.take(key)
        if isinstance(write, Write_Put):
            self.put(Stored(write.value.draft, stamp))
        return stamp

    def has_room(self, more, now):
        """What shrinks the store is always welcome; what is expired makes room."""
        if more > 0 and self.cost + more > self.max_store_bytes:
            self.sweep(now)
        return more <= 0 or self.cost + more <= self.max_store_bytes

    def full(self):
        return Error_TooLarge(f"the store is full: its records may take {self.max_store_bytes} bytes")

    def sweep(self, now, limit=None):
        expired = [record.draft for record in self.records.all() if rules.is_expired(record, now)]
        expired = sorted(expired, key=lambda draft: draft.expires_at)[:limit]
        for draft in expired:
            self.take(draft.key)
        return len(expired)


def backend(records):
    """The classes `Lifecycle`, `Store` and `Transfer` of a backend over records."""

    class Lifecycle(Opening):
        kind = records

    return Lifecycle, Store, Transfer


class Opening:
    """The interface `lifecycle`, for one kind of records."""

    def describe(self):
        return self.kind.description

    def open(self, options):
        global opened
        if opened is not None:
            raise Err(Error_Internal("open was called twice"))
        given = {"max-page-bytes": None, "max-store-bytes": None}
        for name, value in options:
            if name not in given:
                raise Err(Error_Invalid(f"unknown option {name!r}; known: {', '.join(given)}"))
            if not (value.isascii() and value.isdecimal()):
                raise Err(Error_Invalid(f"option {name}: {value!r} is not a whole number"))
            given[name] = int(value)
        for name, value in given.items():
            if value is None:
                raise Err(Error_Invalid(f"option {name} is missing"))
        opened = Shelf(self.kind(), given["max-page-bytes"], given["max-store-bytes"])

    def health(self):
        shelf()


class Store:
    def create(self, draft):
        return write_one(Write_Put(Put(draft, Precondition_Absent())))

    def load(self, key):
        return shelf().get(key, clock.now())

    def load_many(self, keys):
        now, max_bytes = clock.now(), shelf().max_page_bytes
        found = [shelf().get(key, now) for key in keys]
        if sum(rules.size(record.draft) for record in found if record) > max_bytes:
            raise Err(Error_TooLarge(f"the records are over {max_bytes} bytes: ask for fewer"))
        return found

    def update(self, draft, expect):
        return write_one(Write_Put(Put(draft, present(expect))))

    def delete(self, key, expect):
        write_one(Write_Remove(Remove(key, present(expect))))

    def find(self, query):
        wanted = query.attributes
        matching = [
            record
            for record in shelf().unexpired(clock.now())
            if record.draft.key.collection == query.collection
            and all(pair in record.draft.attributes for pair in wanted)
        ]
        pairs = sorted((pair.name, pair.value) for pair in wanted)
        pages = rules.Pages(
            ("find", query.collection, pairs, query.order.name, query.descending),
            "mod_revision" if query.order == Order.UPDATED else "create_revision",
            query.descending,
        )
        return pages.page(matching, query.after, query.limit, shelf().max_page_bytes, query.bodies)

    def apply(self, batch):
        if opened is None:
            raise Err(Rejection(0, NOT_OPEN))
        return [stamp.mod_revision for stamp in opened.write(batch)]


def write_one(write):
    """A batch of one, which fails with the error alone."""
    kept = shelf()
    try:
        return kept.write([write])[0]
    except Err as rejected:
        raise Err(rejected.value.error)


def present(expect):
    return Precondition_Present() if expect is None else Precondition_UnchangedSince(expect)


class Transfer:
    def export(self, after, limit):
        pages = rules.Pages(("export",), "create_revision")
        return pages.page(shelf().unexpired(clock.now()), after, limit, shelf().max_page_bytes)

    def import_(self, imported):
        kept, now = shelf(), clock.now()
        owners = {revision: record for record in kept.unexpired(now) for revision in revisions(record)}
        new = {}
        for record in imported:
            key = record.draft.key
            there = new.get((key.collection, key.id)) or kept.get(key, now)
            if there and there.stamp != record.stamp:
                raise Err(Error_Conflict(there))
            if there:
                continue
            for revision in revisions(record):
                if owners.setdefault(revision, record).draft.key != key:
                    raise Err(Error_Invalid(f"revision {revision} belongs to another record"))
            new[key.collection, key.id] = record
        if not kept.has_room(sum(rules.cost(record.draft) for record in new.values()), now):
            raise Err(kept.full())
        for record in new.values():
            kept.put(record)
            kept.revision = max(kept.revision, *revisions(record))

    def sweep(self, limit):
        return shelf().sweep(clock.now(), limit)

    def clear(self, collection):
        now, kept = clock.now(), shelf()
        gone = [
            record
            for record in kept.records.all()
            if collection is None or record.draft.key.collection == collection
        ]
        for record in gone:
            kept.take(record.draft.key)
        return sum(not rules.is_expired(record, now) for record in gone)

    def statistics(self):
        counted = {}
        for record in shelf().unexpired(clock.now()):
            name = record.draft.key.collection
            counts = counted.setdefault(name, CollectionStatistics(name, 0, 0))
            counts.records += 1
            counts.body_bytes += len(record.draft.body)
        return [counted[name] for name in sorted(counted)]


def revisions(record):
    return record.stamp.create_revision, record.stamp.mod_revision
