"""redis-py with the keys of Teal Agents: a string for each task, and a set of task ids for each request id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from peer import BATCH, Operation, Peer, PeerError, found, request_id, task_id

# Seconds that a task is kept: Teal's default.
TTL = 3600

Write = tuple[str, str, str, str]
"""A task's key, its body, its request's key, and its id."""


class Teal(Peer):
    callers = "threads"

    async def open(self) -> None:
        if self.settings.redis is None:
            raise PeerError("redis-py needs a server: --redis redis://127.0.0.1:PORT")
        pool = redis.ConnectionPool.from_url(
            self.settings.redis, max_connections=self.settings.callers, decode_responses=True
        )
        self._client = redis.Redis(connection_pool=pool)
        self._client.ping()
        server = self._client.config_get("append*")
        self.durable = server["appendonly"] == "yes" and server["appendfsync"] == "always"
        self._server = ", ".join(f"{name}={server[name]}" for name in ("appendonly", "appendfsync"))

    async def close(self) -> None:
        self._client.close()

    def operations(self) -> dict[str, Operation]:
        return {
            "create": Operation(
                "MULTI of SETEX, SADD and EXPIRE in one pipeline",
                self._write,
                self._writes,
                self._drop,
                new=True,
            ),
            "load": Operation("GET", self._get, self._keys, text=str),
            "update": Operation("MULTI of SETEX, SADD and EXPIRE in one pipeline", self._write, self._writes),
            "delete": Operation("MULTI of DEL and SREM in one pipeline", self._delete, self._doomed, new=True),
            "find": Operation("SMEMBERS, then GET", self._find, self._requests, text=str),
            "batch": Operation(
                f"MULTI of {BATCH} creates in one pipeline",
                self._write_all,
                self._batches,
                self._drop,
                new=True,
                size=BATCH,
            ),
        }

    def notes(self) -> str:
        parser = "hiredis" if redis.utils.HIREDIS_AVAILABLE else "Python"
        return (
            f"threads share one client and its pool of as many connections; parser: {parser}; {self._server}; "
            "Teal Agents sends its commands one by one under a lock, and asks first whether the task is there"
        )

    async def fill(self) -> None:
        for batch in await self._batches(range(self.settings.records)):
            self._write_all(batch)

    async def _writes(self, numbers: Sequence[int]) -> list[Write]:
        return [(task_key(number), self.body(), request_key(number), task_id(number)) for number in numbers]

    async def _batches(self, numbers: Sequence[int]) -> list[list[Write]]:
        writes = await self._writes(numbers)
        return [writes[first : first + BATCH] for first in range(0, len(writes), BATCH)]

    async def _keys(self, numbers: Sequence[int]) -> list[str]:
        return [task_key(number) for number in numbers]

    async def _requests(self, numbers: Sequence[int]) -> list[str]:
        return [request_key(number) for number in numbers]

    async def _doomed(self, numbers: Sequence[int]) -> list[tuple[str, str, str]]:
        for batch in await self._batches(numbers):
            self._write_all(batch)
        return [(task_key(number), request_key(number), task_id(number)) for number in numbers]

    def _write(self, write: Write) -> None:
        self._write_all([write])

    def _write_all(self, writes: list[Write]) -> None:
        with self._client.pipeline() as pipeline:
            for task, body, request, name in writes:
                pipeline.setex(task, TTL, body)
                pipeline.sadd(request, name)
                pipeline.expire(request, TTL)
            pipeline.execute()

    def _get(self, task: str) -> Any:
        return found(self._client.get(task))

    def _find(self, request: str) -> Any:
        name = found(next(iter(self._client.smembers(request)), None))
        return self._get(f"task_persistence:task:{name}")

    def _delete(self, names: tuple[str, str, str]) -> None:
        task, request, name = names
        with self._client.pipeline() as pipeline:
            pipeline.delete(task)
            pipeline.srem(request, name)
            pipeline.execute()

    async def _drop(self, numbers: Sequence[int]) -> None:
        for first in range(0, len(numbers), BATCH):
            some = numbers[first : first + BATCH]
            self._client.delete(*map(task_key, some), *map(request_key, some))


def task_key(number: int) -> str:
    return f"task_persistence:task:{task_id(number)}"


def request_key(number: int) -> str:
    return f"task_persistence:request_index:{request_id(number)}"
