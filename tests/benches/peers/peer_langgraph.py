"""LangGraph's checkpointers: a record is the newest checkpoint of a thread, its body a channel's value."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from langgraph.checkpoint.base import BaseCheckpointSaver, ChannelVersions, Checkpoint, empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver

from peer import Operation, Peer, found, request_id, sqlite_settings, task_id

CHANNEL = "body"


class LangGraph(Peer):
    """What both savers do alike."""

    missing: ClassVar = {"batch": "put takes one checkpoint"}
    _saver: BaseCheckpointSaver[str]

    def operations(self) -> dict[str, Operation]:
        name = type(self._saver).__name__
        return {
            "create": Operation(
                f"{name}.put: the first checkpoint of a thread",
                self._put,
                self._checkpoints,
                self._restore,
                new=True,
            ),
            "load": Operation(
                f"{name}.get_tuple: the newest checkpoint of a thread",
                self._get,
                self._configs,
                text=body_of,
            ),
            "update": Operation(
                f"{name}.put: another checkpoint of a thread; those before it stay",
                self._put,
                self._checkpoints,
                self._restore,
            ),
            "delete": Operation(
                f"{name}.delete_thread",
                self._saver.delete_thread,
                self._doomed,
                self._restore,
                new=True,
            ),
            "find": Operation(
                f"{name}.list: the first whose metadata has the request id",
                self._find,
                self._filters,
                text=body_of,
            ),
        }

    async def open(self) -> None:
        # Of each record the newest checkpoint's id and its channel's version.
        self._heads: dict[int, tuple[str, str]] = {}

    async def fill(self) -> None:
        with self._in_a_hurry():
            await super().fill()

    async def _checkpoints(self, numbers: Sequence[int]) -> list[tuple[Any, ...]]:
        return [self._checkpoint(number) for number in numbers]

    def _checkpoint(self, number: int) -> tuple[dict[str, Any], Checkpoint, dict[str, Any], ChannelVersions]:
        """The arguments of `put`, as LangGraph's loop makes them."""
        parent, before = self._heads.get(number, (None, None))
        config = config_of(number)
        if parent is not None:
            config["configurable"]["checkpoint_id"] = parent
        version = self._saver.get_next_version(before, None)
        versions: ChannelVersions = {CHANNEL: version}
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {CHANNEL: self.body()}
        checkpoint["channel_versions"] = versions
        self._heads[number] = (checkpoint["id"], version)
        return (
            config,
            checkpoint,
            {"source": "loop", "step": 0, "request_id": request_id(number)},
            versions,
        )

    async def _configs(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        return [config_of(number) for number in numbers]

    async def _filters(self, numbers: Sequence[int]) -> list[dict[str, str]]:
        return [{"request_id": request_id(number)} for number in numbers]

    async def _doomed(self, numbers: Sequence[int]) -> list[str]:
        with self._in_a_hurry():
            for number in numbers:
                self._put(self._checkpoint(number))
        return [task_id(number) for number in numbers]

    def _put(self, arguments: tuple[Any, ...]) -> None:
        self._saver.put(*arguments)

    def _get(self, config: Any) -> Any:
        return found(self._saver.get_tuple(config))

    def _find(self, metadata: dict[str, str]) -> Any:
        # Only the first is asked of the iterator: the saver in memory would go on through all threads.
        return found(next(self._saver.list(None, filter=metadata, limit=1), None))

    async def _restore(self, _: Sequence[int]) -> None:
        """Drops what operations added: delete_thread would take one pass over the store for each."""
        self._heads = {number: self._heads[number] for number in range(self.settings.records)}
        self._keep({checkpoint for checkpoint, _ in self._heads.values()})

    def _keep(self, checkpoints: set[str]) -> None:
        """Drops all checkpoints but these."""
        raise NotImplementedError

    @contextmanager
    def _in_a_hurry(self) -> Iterator[None]:
        """For what is not timed."""
        yield


class Memory(LangGraph):
    # The saver's coroutines are its plain methods in a wrapper, and threads only slow those down.
    callers = "tasks"
    durable = False
    _saver: InMemorySaver

    async def open(self) -> None:
        await super().open()
        self._saver = InMemorySaver()

    def notes(self) -> str:
        return "tasks share one saver, whose calls never wait; find walks the threads"

    def operations(self) -> dict[str, Operation]:
        return {
            name: replace(operation, call=coroutine(operation.call)) for name, operation in super().operations().items()
        }

    def _keep(self, checkpoints: set[str]) -> None:
        storage, blobs = self._saver.storage, self._saver.blobs
        for thread in list(storage):
            kept = {name: value for name, value in storage[thread][""].items() if name in checkpoints}
            if kept:
                storage[thread][""] = kept
            else:
                del storage[thread]
        versions = {(task_id(number), "", CHANNEL, version) for number, (_, version) in self._heads.items()}
        for blob in [blob for blob in blobs if blob not in versions]:
            del blobs[blob]


class Sqlite(LangGraph):
    callers = "threads"
    durable = True
    _saver: SqliteSaver

    async def open(self) -> None:
        await super().open()
        path = self.settings.folder / "checkpoints.sqlite"
        self._saver = SqliteSaver(sqlite3.connect(path, check_same_thread=False))
        self._saver.setup()

    async def close(self) -> None:
        self._saver.conn.close()

    def notes(self) -> str:
        settings = sqlite_settings(self._saver.conn)
        return f"threads share one saver, which locks its one connection; {settings}; find scans the table"

    @contextmanager
    def _in_a_hurry(self) -> Iterator[None]:
        connection = self._saver.conn
        (level,) = connection.execute("PRAGMA synchronous").fetchone()
        connection.execute("PRAGMA synchronous=OFF")
        try:
            yield
        finally:
            connection.execute(f"PRAGMA synchronous={level}")

    def _keep(self, checkpoints: set[str]) -> None:
        with self._saver.cursor() as cursor:
            kept = json.dumps(sorted(checkpoints))
            cursor.execute(
                "DELETE FROM checkpoints WHERE checkpoint_id NOT IN (SELECT value FROM json_each(?))",
                (kept,),
            )


def coroutine(call: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
    async def wrapped(argument: Any) -> Any:
        return call(argument)

    return wrapped


def config_of(number: int) -> dict[str, Any]:
    return {"configurable": {"thread_id": task_id(number), "checkpoint_ns": ""}}


def body_of(answer: Any) -> str:
    return answer.checkpoint["channel_values"][CHANNEL]
