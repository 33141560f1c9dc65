"""The clock: how many calls a second a peer does, and how long one takes."""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic, perf_counter_ns
from typing import Any

from peer import Operation, Peer, PeerError, Settings

# An operation ends after this many times the time that was asked for, with the rounds done by then.
PATIENCE = 10
# A round of slow calls may be this many times as long, so that each caller has two calls in it.
STRETCH = 4
# The bodies that are made ahead of a round fit in this many bytes, so a round of large ones is shorter.
AHEAD = 128 << 20
# A round of very quick calls is shorter as well: their arguments take longer to make than they do.
MOST_CALLS = 20_000


@dataclass
class Timed:
    """What came of some calls."""

    latencies: list[int] = field(default_factory=list)
    """Nanoseconds of each call that succeeded."""
    errors: list[Exception] = field(default_factory=list)
    started: int = 0
    ended: int = 0

    @property
    def seconds(self) -> float:
        return max(self.ended - self.started, 1) / 1e9

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds


async def measure(peer: Peer, operation: Operation, settings: Settings) -> dict[str, Any]:
    """Warms up, then does the rounds; the answer is what the caller prints."""
    bench = Bench(peer, operation, settings)
    await bench.check()
    count = await bench.warm_up()
    rounds: list[Timed] = []
    patience = monotonic() + PATIENCE * settings.rounds * settings.seconds
    while len(rounds) < settings.rounds and (not rounds or monotonic() < patience):
        rounds.append(await bench.time(count))

    latencies = sorted(itertools.chain.from_iterable(timed.latencies for timed in rounds))
    errors = [error for timed in rounds for error in timed.errors]
    if errors:
        print(f"{len(errors)} calls failed, the first with: {errors[0]!r}", file=sys.stderr)
    result: dict[str, Any] = {
        "rates": [round(timed.rate, 1) for timed in rounds],
        "p50_us": percentile(latencies, 0.50),
        "p99_us": percentile(latencies, 0.99),
        "what": operation.what,
    }
    if errors:
        result["errors"] = len(errors)
    return result


def percentile(latencies: Sequence[int], share: float) -> float | None:
    """The nearest rank, in microseconds; none where no call succeeded."""
    if not latencies:
        return None
    rank = max(math.ceil(share * len(latencies)), 1)
    return round(latencies[rank - 1] / 1000, 1)


class Bench:
    """Prepares calls, times them, and tidies up after them."""

    def __init__(self, peer: Peer, operation: Operation, settings: Settings) -> None:
        self._peer = peer
        self._operation = operation
        self._settings = settings
        # Sevens, so that neighbours in time are not neighbours in the store.
        stored = (number * 7 % settings.records for number in itertools.count())
        self._numbers: Iterator[int] = peer.new_numbers if operation.new else stored

    async def check(self) -> None:
        """One call, whose answer has to hold the whole body."""
        if self._operation.text is None:
            return
        answer = self._operation.call((await self._operation.prepare([next(self._numbers)]))[0])
        if self._peer.callers == "tasks":
            answer = await answer
        if len(self._operation.text(answer)) != self._settings.body:
            raise PeerError(f"{self._operation.what} does not give back the body")

    async def warm_up(self) -> int:
        """Finds how many calls make a round, by ever more of them until they fill half of one."""
        most = MOST_CALLS
        if self._operation.text is None:
            most = max(min(most, AHEAD // (self._settings.body * self._operation.size)), 1)
        count = 1
        while True:
            timed = await self.time(count)
            if timed.seconds >= self._settings.seconds / 2 or count == most:
                break
            count = min(4 * count, most)
        fit = max(round(count / timed.seconds * self._settings.seconds), 1)
        return min(max(fit, min(2 * self._settings.callers, STRETCH * fit)), most)

    async def time(self, count: int) -> Timed:
        operation = self._operation
        numbers = list(itertools.islice(self._numbers, count * operation.size))
        arguments = await operation.prepare(numbers)
        # What was prepared is not the peer's to walk when it collects garbage.
        gc.freeze()
        if self._peer.callers == "tasks":
            timed = await in_tasks(operation.call, arguments, self._settings.callers)
        else:
            timed = in_threads(operation.call, arguments, self._settings.callers)
        gc.unfreeze()
        await operation.tidy(numbers)
        return timed


def in_threads(call: Callable[[Any], Any], arguments: Iterable[Any], callers: int) -> Timed:
    """Every thread takes the next argument as soon as its call before is answered."""
    source = iter(arguments)
    together = threading.Barrier(callers)

    def work(timed: Timed) -> None:
        together.wait()
        before = timed.started = perf_counter_ns()
        for argument in source:
            try:
                call(argument)
            except Exception as error:
                timed.errors.append(error)
                before = perf_counter_ns()
                continue
            now = perf_counter_ns()
            timed.latencies.append(now - before)
            before = now
        timed.ended = before

    each = [Timed() for _ in range(callers)]
    if callers == 1:
        work(each[0])
    else:
        threads = [threading.Thread(target=work, args=(timed,)) for timed in each]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return total(each)


async def in_tasks(call: Callable[[Any], Any], arguments: Iterable[Any], callers: int) -> Timed:
    """As `in_threads`, with a task for a thread."""
    source = iter(arguments)

    async def work(timed: Timed) -> None:
        before = timed.started = perf_counter_ns()
        for argument in source:
            try:
                await call(argument)
            except Exception as error:
                timed.errors.append(error)
                before = perf_counter_ns()
                continue
            now = perf_counter_ns()
            timed.latencies.append(now - before)
            before = now
        timed.ended = before

    each = [Timed() for _ in range(callers)]
    if callers == 1:
        await work(each[0])
    else:
        await asyncio.gather(*(work(timed) for timed in each))
    return total(each)


def total(each: Sequence[Timed]) -> Timed:
    """From the first caller's start to the last one's end."""
    return Timed(
        latencies=[latency for timed in each for latency in timed.latencies],
        errors=[error for timed in each for error in timed.errors],
        started=min(timed.started for timed in each),
        ended=max(timed.ended for timed in each),
    )
