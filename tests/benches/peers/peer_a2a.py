"""The task stores of the A2A SDK: the body is the text of a message in the task's history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from a2a.server.context import ServerCallContext
from a2a.server.models import TaskModel
from a2a.server.tasks import DatabaseTaskStore, InMemoryTaskStore, TaskStore
from a2a.types import a2a_pb2
from sqlalchemy import delete, event
from sqlalchemy.ext.asyncio import create_async_engine

from peer import Operation, Peer, found, request_id, sqlite_defaults, task_id


class A2a(Peer):
    """What both stores do alike: tasks share one store."""

    callers = "tasks"
    missing: ClassVar = {"batch": "save takes one task"}
    _store: TaskStore
    _unsynced: TaskStore
    """The same tasks, for what is not timed."""

    async def open(self) -> None:
        self._context = ServerCallContext()

    def operations(self) -> dict[str, Operation]:
        name = type(self._store).__name__
        return {
            "create": Operation(f"{name}.save of a new task", self._save, self._tasks, self._drop, new=True),
            "load": Operation(f"{name}.get", self._get, self._ids, text=body_of),
            "update": Operation(f"{name}.save of a task that is there", self._save, self._tasks),
            "delete": Operation(f"{name}.delete", self._delete, self._seed, new=True),
            "find": Operation(
                f"{name}.list of a context id, one task a page",
                self._find,
                self._requests,
                text=body_of,
            ),
        }

    async def fill(self) -> None:
        await self._seed(range(self.settings.records))

    async def _tasks(self, numbers: Sequence[int]) -> list[a2a_pb2.Task]:
        return [self._task(number) for number in numbers]

    def _task(self, number: int) -> a2a_pb2.Task:
        # A context is what A2A groups the tasks of a request by, and the one id that a list is filtered by.
        task = a2a_pb2.Task(id=task_id(number), context_id=request_id(number))
        task.status.state = a2a_pb2.TaskState.TASK_STATE_WORKING
        task.status.timestamp.GetCurrentTime()
        message = task.history.add(message_id=f"message-{number}", role=a2a_pb2.Role.ROLE_USER)
        message.parts.add(text=self.body())
        return task

    async def _ids(self, numbers: Sequence[int]) -> list[str]:
        return [task_id(number) for number in numbers]

    async def _requests(self, numbers: Sequence[int]) -> list[a2a_pb2.ListTasksRequest]:
        return [a2a_pb2.ListTasksRequest(context_id=request_id(number), page_size=1) for number in numbers]

    async def _seed(self, numbers: Sequence[int]) -> list[str]:
        for number in numbers:
            await self._unsynced.save(self._task(number), self._context)
        return await self._ids(numbers)

    async def _save(self, task: a2a_pb2.Task) -> None:
        await self._store.save(task, self._context)

    async def _get(self, name: str) -> a2a_pb2.Task:
        return found(await self._store.get(name, self._context))

    async def _delete(self, name: str) -> None:
        await self._store.delete(name, self._context)

    async def _find(self, request: a2a_pb2.ListTasksRequest) -> a2a_pb2.Task:
        page = await self._store.list(request, self._context)
        return found(page.tasks[0] if page.tasks else None)

    async def _drop(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            await self._delete(task_id(number))


class Memory(A2a):
    durable = False

    async def open(self) -> None:
        await super().open()
        self._store = self._unsynced = InMemoryTaskStore()

    def notes(self) -> str:
        return (
            "tasks share one store, whose calls never wait; it copies each task, as it does by default; find walks all"
        )


class Sqlite(A2a):
    durable = True

    async def open(self) -> None:
        await super().open()
        self._path = self.settings.folder / "tasks.sqlite"
        url = f"sqlite+aiosqlite:///{self._path}"
        self._engine, self._quick_engine = create_async_engine(url), create_async_engine(url)
        event.listen(self._quick_engine.sync_engine, "connect", stop_syncing)
        self._store, self._unsynced = (
            DatabaseTaskStore(self._engine),
            DatabaseTaskStore(self._quick_engine),
        )
        await self._store.initialize()

    async def close(self) -> None:
        await self._engine.dispose()
        await self._quick_engine.dispose()

    def notes(self) -> str:
        return (
            "tasks share one store and its engine, whose pool is as SQLAlchemy sets it up; "
            f"{sqlite_defaults(self._path)}; find scans the owner's tasks, and counts them"
        )

    async def _drop(self, numbers: Sequence[int]) -> None:
        # One transaction, not one for each task.
        async with self._quick_engine.begin() as connection:
            for first in range(0, len(numbers), 1000):
                names = [task_id(number) for number in numbers[first : first + 1000]]
                await connection.execute(delete(TaskModel).where(TaskModel.id.in_(names)))


def stop_syncing(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=MEMORY")


def body_of(task: a2a_pb2.Task) -> str:
    return task.history[0].parts[0].text
