"""A session with the official Python client: session.py URL | session.py COMMAND ARGUMENT..."""

import asyncio
import sys

from mcp import Client, MCPError, StdioServerParameters

TASK = {
    "task_id": "t-1",
    "session_id": "s-1",
    "user_id": "u-1",
    "items": [
        {
            "task_id": "t-1",
            "request_id": "r-1",
            "role": "user",
            "item": {"content_type": "text", "content": "hé"},
            "updated": "2026-01-01T00:00:00Z",
        }
    ],
    "created_at": "2026-01-01T00:00:00Z",
    "last_updated": "2026-01-01T00:00:00Z",
    "status": "Running",
}


async def session(server):
    async with Client(server) as client:
        tools = await client.list_tools()
        assert "create_task" in [tool.name for tool in tools.tools]

        # The client holds every answer to the tool's schema.
        async def call(tool, **arguments):
            answer = await client.call_tool(tool, arguments)
            assert not answer.is_error, answer
            return answer.structured_content

        async def fails(kind, tool, **arguments):
            answer = await client.call_tool(tool, arguments)
            assert answer.is_error, answer
            assert answer.structured_content["kind"] == kind, answer
            return answer.structured_content

        created = await call("create_task", task=TASK)
        loaded = await call("load_task", task_id="t-1")
        assert loaded == {"task": TASK, "revision": created["revision"]}
        found = await call("find_task_by_request_id", request_id="r-1")
        assert found == loaded
        await fails("already-exists", "create_task", task=TASK)

        paused = TASK | {"status": "Paused"}
        updated = await call("update_task", task=paused, revision=created["revision"])
        conflict = await fails(
            "conflict", "update_task", task=paused, revision=created["revision"]
        )
        assert conflict["current"]["mod_revision"] == updated["revision"]
        listed = await call("list_tasks", status="Paused")
        assert [found["task"] for found in listed["tasks"]] == [paused]

        job = {"id": "j-1", "status": "stopped"}
        await call("save_entity", collection="job", entity=job)
        made = await call(
            "send_event", collection="job", id="j-1", event="start_work"
        )
        assert made["entity"]["status"] == "in_progress"
        await fails(
            "invalid-transition",
            "send_event",
            collection="job",
            id="j-1",
            event="start_work",
        )
        history = await call("get_history", collection="job", id="j-1")
        assert history["transitions"] == [made["transition"]]

        await asyncio.gather(*(call("load_task", task_id="t-1") for _ in range(64)))
        await call("store_health")
        await call("delete_task", task_id="t-1")
        await fails("not-found", "load_task", task_id="t-1")
        try:
            await client.call_tool("drop_everything", {})
        except MCPError as error:
            assert error.code == -32602, error
        else:
            raise AssertionError("an unknown tool was called")


match sys.argv[1:]:
    case [url] if url.startswith("http"):
        asyncio.run(session(url))
    case [command, *arguments]:
        asyncio.run(session(StdioServerParameters(command=command, args=arguments)))
print("held")
