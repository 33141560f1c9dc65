"""Measures one of the stores that agent platforms use today, and prints one JSON object.

The benchmark beside this folder calls it as a process of its own for each peer:

    python run.py langgraph-sqlite --body 2048 --records 1000 --callers 64 \\
        --seconds 0.3 --rounds 5 --folder DIR

stdout has the JSON and nothing else; what goes wrong is told on stderr, with exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from measure import measure
from peer import OPERATIONS, Peer, PeerError, Settings


@dataclass(frozen=True)
class Entry:
    """Where a peer is, told without importing it: some take a second."""

    name: str
    package: str
    backend: str
    durable: bool
    """As it comes. What a run says counts where a server's settings decide."""
    module: str
    kind: str


PEERS = (
    Entry("langgraph-memory", "langgraph-checkpoint", "memory", False, "peer_langgraph", "Memory"),
    Entry(
        "langgraph-sqlite",
        "langgraph-checkpoint-sqlite",
        "sqlite",
        True,
        "peer_langgraph",
        "Sqlite",
    ),
    Entry("a2a-memory", "a2a-sdk", "memory", False, "peer_a2a", "Memory"),
    Entry("a2a-sqlite", "a2a-sdk", "sqlite", True, "peer_a2a", "Sqlite"),
    Entry("openai-agents-sqlite", "openai-agents", "sqlite", True, "peer_openai_agents", "Session"),
    Entry("tinydb", "tinydb", "file", True, "peer_tinydb", "Json"),
    Entry("redis-py", "redis", "redis", False, "peer_redis", "Teal"),
)


class Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(1, f"{self.prog}: {message}\n")


def arguments() -> argparse.Namespace:
    parser = Arguments(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("peer", nargs="?", choices=[entry.name for entry in PEERS])
    parser.add_argument("--list", action="store_true", help="print the peers and end")
    parser.add_argument("--body", type=positive, default=2048, help="bytes in a body")
    parser.add_argument("--records", type=positive, default=1000, help="records in the store")
    parser.add_argument("--callers", type=positive, default=1, help="callers at once")
    parser.add_argument("--seconds", type=float, default=0.3, help="about how long a round takes")
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--folder", type=Path, help="an empty folder for the peer's files")
    parser.add_argument("--redis", help="the server of redis-py: redis://127.0.0.1:PORT")
    parser.add_argument("--operations", default=",".join(OPERATIONS), help="those to measure, by commas")
    asked = parser.parse_args()
    if not asked.list and (asked.peer is None or asked.folder is None):
        parser.error("expected a PEER and --folder, or --list")
    return asked


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


async def run(entry: Entry, asked: list[str], settings: Settings) -> dict[str, Any]:
    """Fills the peer's store and measures the operations that it has."""
    peer: Peer = getattr(importlib.import_module(entry.module), entry.kind)(settings)
    await peer.open()
    try:
        await peer.fill()
        able = peer.operations()
        return {
            "peer": entry.name,
            "version": version(entry.package),
            "durable": peer.durable,
            "notes": peer.notes(),
            "operations": {name: await measure(peer, able[name], settings) for name in asked if name in able},
            "missing": {name: peer.missing[name] for name in asked if name not in able},
        }
    finally:
        await peer.close()


def main() -> None:
    asked = arguments()
    if asked.list:
        print(
            json.dumps(
                [{key: getattr(entry, key) for key in ("name", "package", "durable", "backend")} for entry in PEERS]
            )
        )
        return
    try:
        names = asked.operations.split(",")
        if unknown := set(names) - set(OPERATIONS):
            raise PeerError(f"no operation {', '.join(sorted(unknown))}: expected {', '.join(OPERATIONS)}")
        settings = Settings(
            body=asked.body,
            records=asked.records,
            callers=asked.callers,
            seconds=asked.seconds,
            rounds=asked.rounds,
            folder=asked.folder.resolve(strict=True),
            redis=asked.redis,
        )
        entry = next(entry for entry in PEERS if entry.name == asked.peer)
        # A peer's own prints must not end up in the JSON.
        with contextlib.redirect_stdout(sys.stderr):
            result = asyncio.run(run(entry, names, settings))
    except Exception as error:
        print(f"{asked.peer}: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
