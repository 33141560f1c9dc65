"""What a peer is: a store that agent platforms use today, and the operations that it can be measured in."""

from __future__ import annotations

import itertools
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

OPERATIONS = ("create", "load", "update", "delete", "find", "batch")

T = TypeVar("T")

# Creates in one call of the operation "batch".
BATCH = 100


class PeerError(Exception):
    """The peer cannot be measured: wrong arguments, no server, a record that it lost."""


@dataclass(frozen=True)
class Settings:
    """What the caller asked for."""

    body: int
    """Bytes in a record's body."""
    records: int
    """Records in the store while it is measured."""
    callers: int
    """Callers at once."""
    seconds: float
    """How long a round is to take."""
    rounds: int
    folder: Path
    """Where the peer's files go."""
    redis: str | None


async def leave(_: Sequence[int]) -> None:
    """The tidying of an operation that leaves nothing behind."""


@dataclass(frozen=True)
class Operation:
    """One operation of a peer: only `call` is timed."""

    what: str
    """The peer's own call that is timed."""
    call: Callable[[Any], Any]
    """Takes one prepared argument. A coroutine function where the peer's callers are tasks."""
    prepare: Callable[[Sequence[int]], Awaitable[Sequence[Any]]]
    """An argument for each call to come, from the numbers of its records."""
    tidy: Callable[[Sequence[int]], Awaitable[None]] = leave
    """Brings the store back to the records that it was filled with."""
    new: bool = False
    """Whether the records are not in the store yet when `prepare` is called."""
    size: int = 1
    """Records to a call."""
    text: Callable[[Any], str] | None = None
    """The body in a call's answer, where it has one."""


class Peer(ABC):
    """A peer that is open on an empty store."""

    callers: Literal["tasks", "threads"]
    """What its callers are: asyncio's tasks, or threads where its calls block."""
    durable: bool
    """Whether a write that was answered outlives a crash of the machine."""
    missing: ClassVar[dict[str, str]] = {}
    """Why an operation is left out."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._bodies = 0
        # Numbers of records that never were: none is used twice.
        self.new_numbers = itertools.count(settings.records)

    @abstractmethod
    async def open(self) -> None:
        """Opens the store and whatever stays open for all calls."""

    @abstractmethod
    def operations(self) -> dict[str, Operation]:
        """What the peer can do."""

    @abstractmethod
    def notes(self) -> str:
        """What a reader of the numbers has to know: how it is shared, what it promises."""

    async def fill(self) -> None:
        """Writes the records that the store holds while it is measured."""
        create = self.operations()["create"]
        for argument in await create.prepare(range(self.settings.records)):
            answer = create.call(argument)
            if self.callers == "tasks":
                await answer

    async def close(self) -> None:
        """Lets go of files and connections."""

    def body(self) -> str:
        """A body that no record has yet: a store may skip a write that changes nothing."""
        self._bodies += 1
        size = self.settings.body
        return f"{self._bodies:012}".ljust(size, "x")[-size:]


def task_id(number: int) -> str:
    return f"task-{number}"


def request_id(number: int) -> str:
    return f"request-{number}"


def found(answer: T | None) -> T:
    """The answer, which has to be a record."""
    if answer is None:
        raise PeerError("a record is not there")
    return answer


def sqlite_settings(connection: sqlite3.Connection) -> str:
    """The journal mode of a connection's file, and how the connection syncs it."""
    journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
    level = connection.execute("PRAGMA synchronous").fetchone()[0]
    synchronous = ("OFF", "NORMAL", "FULL", "EXTRA")[level]
    return f"SQLite {sqlite3.sqlite_version}, journal_mode={journal}, synchronous={synchronous}"


def sqlite_defaults(path: Path) -> str:
    """The same of a peer that sets nothing on its connections but the file's journal mode."""
    with closing(sqlite3.connect(path)) as connection:
        return sqlite_settings(connection)
