"""What the contract asks of every backend: expiry, preconditions, sizes, cursors and pages."""

from dataclasses import replace
from hashlib import blake2b

from componentize_py_types import Err
from wit_world.imports.types import (
    Error_AlreadyExists,
    Error_Conflict,
    Error_Invalid,
    Error_NotFound,
    Page,
    Precondition_Absent,
    Precondition_Present,
    Precondition_UnchangedSince,
    Write_Put,
)


def is_expired(record, now):
    """From the instant `expires_at` on, not after it."""
    expires_at = record.draft.expires_at
    return expires_at is not None and expires_at <= now


def key_of(write):
    return write.value.draft.key if isinstance(write, Write_Put) else write.value.key


def broken(expect, key, current):
    """The error where a precondition does not hold; none where it does. `current` is not expired."""
    match expect:
        case Precondition_Absent() if current:
            return Error_AlreadyExists(key)
        case Precondition_Present() | Precondition_UnchangedSince() if not current:
            return Error_NotFound(key)
        case Precondition_UnchangedSince(revision) if revision != current.stamp.mod_revision:
            return Error_Conflict(current)


def size(draft):
    """How many bytes a record counts for in a page: its body, its id and its attributes, in UTF-8."""
    pairs = sum(len(pair.name.encode()) + len(pair.value.encode()) for pair in draft.attributes)
    return len(draft.body) + len(draft.key.id.encode()) + pairs


def cost(draft):
    """An upper bound of the memory that a record takes.

    Python keeps a text in up to four bytes a character, and its UTF-8 beside it once somebody asked.
    """
    texts = size(draft) - len(draft.body) + len(draft.key.collection.encode())
    return len(draft.body) + 5 * texts + 300 * len(draft.attributes) + 1500


class Pages:
    """The pages of one query. `query` tells it from every other one; `position` is what sorts it."""

    def __init__(self, query, position, descending=False):
        self.query = query
        self.descending = descending
        self.position = lambda record: getattr(record.stamp, position)

    def page(self, records, after, limit, max_bytes, bodies=True):
        """`records` is everything that matches, in any order."""
        start = self.read(after)
        records = sorted(records, key=self.position, reverse=self.descending)
        taken, total = [], 0
        for record in records:
            position = self.position(record)
            if start is not None and (position >= start if self.descending else position <= start):
                continue
            if not bodies:
                record = replace(record, draft=replace(record.draft, body=b""))
            total += size(record.draft)
            if taken and (len(taken) == limit or total > max_bytes):
                return Page(taken, self.cursor(self.position(taken[-1])))
            taken.append(record)
        return Page(taken, None)

    def cursor(self, position):
        """A position and a check sum, not a place in a list: it stays good while records come and go."""
        checked = repr((position, self.query)).encode()
        return f"{position}-{blake2b(checked, digest_size=8).hexdigest()}"

    def read(self, cursor):
        if cursor is None:
            return None
        digits = cursor.split("-")[0]
        position = int(digits) if digits.isdecimal() and len(digits) < 20 else 0
        if self.cursor(position) != cursor:
            raise Err(Error_Invalid("the cursor is garbled, or belongs to another query"))
        return position
