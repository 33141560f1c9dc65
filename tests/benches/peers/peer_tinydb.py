"""TinyDB on a JSON file, which it reads and writes whole with every call."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from tinydb import TinyDB, where
from tinydb.table import Document

from peer import BATCH, Operation, Peer, found, request_id, task_id


class Json(Peer):
    callers = "threads"
    durable = True

    async def open(self) -> None:
        self._database = TinyDB(self.settings.folder / "tasks.json")
        # TinyDB's manual: it is not made for access from several threads.
        self._lock = threading.Lock()

    async def close(self) -> None:
        self._database.close()

    def operations(self) -> dict[str, Operation]:
        return {
            "create": Operation("insert", self._insert, self._documents, self._drop, new=True),
            "load": Operation("get by doc_id", self._get, self._numbers, text=body_of),
            "update": Operation("update of the body by doc_id", self._update, self._changes),
            "delete": Operation("remove by doc_id", self._remove, self._doomed, new=True),
            "find": Operation("get by where('request_id') == …", self._find, self._requests, text=body_of),
            "batch": Operation(
                f"insert_multiple of {BATCH}",
                self._insert_multiple,
                self._batches,
                self._drop,
                new=True,
                size=BATCH,
            ),
        }

    def notes(self) -> str:
        return (
            "threads share one database under a lock, for it has none; ids are its own integers, its quickest way; "
            "fsync after every write, in place, so a crash amid a write leaves a broken file"
        )

    async def fill(self) -> None:
        self._insert_multiple(await self._documents(range(self.settings.records)))

    async def _documents(self, numbers: Sequence[int]) -> list[Document]:
        return [
            Document(
                {"task_id": task_id(number), "request_id": request_id(number), "body": self.body()},
                doc_id=number + 1,
            )
            for number in numbers
        ]

    async def _batches(self, numbers: Sequence[int]) -> list[list[Document]]:
        documents = await self._documents(numbers)
        return [documents[first : first + BATCH] for first in range(0, len(documents), BATCH)]

    async def _numbers(self, numbers: Sequence[int]) -> list[int]:
        return [number + 1 for number in numbers]

    async def _changes(self, numbers: Sequence[int]) -> list[tuple[dict[str, str], int]]:
        return [({"body": self.body()}, number + 1) for number in numbers]

    async def _requests(self, numbers: Sequence[int]) -> list[str]:
        return [request_id(number) for number in numbers]

    async def _doomed(self, numbers: Sequence[int]) -> list[int]:
        self._insert_multiple(await self._documents(numbers))
        return await self._numbers(numbers)

    def _insert(self, document: Document) -> None:
        with self._lock:
            self._database.insert(document)

    def _insert_multiple(self, documents: list[Document]) -> None:
        with self._lock:
            self._database.insert_multiple(documents)

    def _get(self, number: int) -> Any:
        with self._lock:
            return found(self._database.get(doc_id=number))

    def _update(self, change: tuple[dict[str, str], int]) -> None:
        fields, number = change
        with self._lock:
            self._database.update(fields, doc_ids=[number])

    def _remove(self, number: int) -> None:
        with self._lock:
            self._database.remove(doc_ids=[number])

    def _find(self, request: str) -> Any:
        with self._lock:
            return found(self._database.get(where("request_id") == request))

    async def _drop(self, numbers: Sequence[int]) -> None:
        self._database.remove(doc_ids=[number + 1 for number in numbers])


def body_of(document: Any) -> str:
    return document["body"]
