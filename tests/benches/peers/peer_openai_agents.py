"""The OpenAI Agents SDK's session in SQLite: a record is a session with one message, its body the content."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any, ClassVar

from agents import SQLiteSession

from peer import Operation, Peer, found, sqlite_defaults, task_id

# Sessions that are open at once where they are read and updated. Each opens a connection for each of
# asyncio's worker threads, so a session for every record would run out of file descriptors.
OPEN = 64


class Session(Peer):
    """A session object for each record, open before the clock starts unless it is what is made."""

    callers = "tasks"
    durable = True
    missing: ClassVar = {
        "find": "a session is found by its id alone",
        "batch": "add_items is of one session, so 100 records are 100 calls",
    }

    async def open(self) -> None:
        self._path = self.settings.folder / "conversations.db"
        self._sessions: dict[int, SQLiteSession] = {}
        # The first one makes the tables.
        self._session(0).close()

    async def close(self) -> None:
        for session in self._sessions.values():
            session.close()

    def operations(self) -> dict[str, Operation]:
        return {
            "create": Operation(
                "SQLiteSession of a new id, then add_items of one message",
                self._create,
                self._messages,
                self._drop,
                new=True,
            ),
            "load": Operation("get_items of an open session", self._load, self._opened, text=body_of),
            "update": Operation(
                "pop_item, then add_items, of an open session: two transactions",
                self._update,
                self._changes,
            ),
            "delete": Operation(
                "clear_session of an open session",
                SQLiteSession.clear_session,
                self._doomed,
                self._drop,
                new=True,
            ),
        }

    def notes(self) -> str:
        return (
            f"each record has a session of its own, {OPEN} are open while records are read and updated; a call runs "
            f"in asyncio's worker threads, one at a time for a file; {sqlite_defaults(self._path)}; "
            "a session has no place for a request id"
        )

    async def fill(self) -> None:
        records = self.settings.records
        await self._insert(range(records))
        for number in range(min(OPEN, records)):
            self._sessions[number] = self._session(number)

    def _session(self, number: int) -> SQLiteSession:
        return SQLiteSession(task_id(number), self._path)

    def _message(self) -> Any:
        return {"role": "user", "content": self.body()}

    async def _messages(self, numbers: Sequence[int]) -> list[tuple[int, Any]]:
        return [(number, self._message()) for number in numbers]

    async def _opened(self, numbers: Sequence[int]) -> list[SQLiteSession]:
        return [self._sessions[number % len(self._sessions)] for number in numbers]

    async def _changes(self, numbers: Sequence[int]) -> list[tuple[SQLiteSession, Any]]:
        return [(session, self._message()) for session in await self._opened(numbers)]

    async def _doomed(self, numbers: Sequence[int]) -> list[SQLiteSession]:
        await self._insert(numbers)
        for number in numbers:
            self._sessions[number] = self._session(number)
        return [self._sessions[number] for number in numbers]

    async def _create(self, argument: tuple[int, Any]) -> None:
        number, message = argument
        session = self._sessions[number] = self._session(number)
        await session.add_items([message])

    async def _load(self, session: SQLiteSession) -> Any:
        items = await session.get_items()
        return found(items[0] if items else None)

    async def _update(self, argument: tuple[SQLiteSession, Any]) -> None:
        session, message = argument
        await session.pop_item()
        await session.add_items([message])

    async def _insert(self, numbers: Sequence[int]) -> None:
        """As add_items writes them, in one transaction: for what is not timed."""
        rows = [(task_id(number), json.dumps(self._message())) for number in numbers]
        with closing(sqlite3.connect(self._path)) as connection:
            connection.executemany("INSERT INTO agent_sessions (session_id) VALUES (?)", [row[:1] for row in rows])
            connection.executemany("INSERT INTO agent_messages (session_id, message_data) VALUES (?, ?)", rows)
            connection.commit()

    async def _drop(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            if session := self._sessions.pop(number, None):
                session.close()
        names = [(task_id(number),) for number in numbers]
        with closing(sqlite3.connect(self._path)) as connection:
            connection.executemany("DELETE FROM agent_messages WHERE session_id = ?", names)
            connection.executemany("DELETE FROM agent_sessions WHERE session_id = ?", names)
            connection.commit()


def body_of(item: Any) -> str:
    return item["content"]
