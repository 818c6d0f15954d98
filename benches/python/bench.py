"""The binding beside its peers, in one process against one server.

    python bench.py URL RESULTS [--rounds N] [--scale X]

In each round every contender has a turn, in an order that changes, and figures are medians over the
rounds; ratios are medians of the ratios within a round, so that a machine that is busy for a while
slows both sides of one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import requests
import sqlalchemy
import urllib3
from psycopg import pq
from psycopg_pool import ConnectionPool

from phantomdb import aio
from phantomdb.pool import create_pool

CONNECTIONS = 10
#: Ours with a client that is acquired and released by hand; "phantomdb" is the pool's operation.
LEASE = "phantomdb, lease"

#: Does its work so often, by so many at once; gives how long that took, in seconds.
Run = Callable[[int, int], float]


class NullConnection:
    """What a pool needs of a connection that does nothing."""

    closed = broken = False

    class pgconn:  # noqa: N801
        """Of psycopg's connections."""

        transaction_status = pq.TransactionStatus.IDLE

    @classmethod
    def connect(cls, *_: object, **__: object) -> NullConnection:
        """Make one, for psycopg_pool."""
        return cls()

    def close(self) -> None:
        """Do nothing; nor do the others."""

    rollback = close


def in_threads(work: Callable[[], object]) -> Run:
    """Run the work in threads; alone, in the main thread."""

    def repeat(count: int) -> None:
        for _ in range(count):
            work()

    def run(at_once: int, count: int) -> float:
        started = time.perf_counter()
        if at_once == 1:
            repeat(count)
        else:
            with ThreadPoolExecutor(at_once) as threads:
                list(threads.map(repeat, [math.ceil(count / at_once)] * at_once))
        return time.perf_counter() - started

    return run


def in_one_thread(work: Callable[[], object]) -> Run:
    """Run the work in a thread that is not the main thread."""
    run = in_threads(work)

    def run_there(at_once: int, count: int) -> float:
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(run, at_once, count).result()

    return run_there


def in_tasks(loop: asyncio.AbstractEventLoop, work: Callable[[], Awaitable[object]]) -> Run:
    """Run the work in tasks."""

    async def repeat(count: int) -> None:
        for _ in range(count):
            await work()

    async def all_at_once(at_once: int, count: int) -> float:
        started = time.perf_counter()
        await asyncio.gather(*(repeat(math.ceil(count / at_once)) for _ in range(at_once)))
        return time.perf_counter() - started

    return lambda at_once, count: loop.run_until_complete(all_at_once(at_once, count))


class Bench:
    """Compares contenders; ours is called phantomdb."""

    def __init__(self, rounds: int, scale: float) -> None:
        self.rounds = rounds
        self.scale = scale
        self.results: list[dict[str, Any]] = []
        self.report = {
            "runtime": f"Python {platform.python_version()}",
            "rounds": rounds,
            "results": self.results,
        }

    def compare(
        self,
        what: str,
        title: str,
        at_once: int,
        counts: dict[str, int],
        contenders: dict[str, Run],
    ) -> None:
        """Let all have their turns at one load; each takes about as long with its count."""
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        failed: dict[str, str] = {}
        names = list(contenders)
        for turn in range(self.rounds + 1):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                count = math.ceil(counts[name] * self.scale)
                if name in failed:
                    continue
                try:
                    rates[name].append(count / contenders[name](at_once, count))
                except httpx.TransportError as error:
                    # Several threads on one client are too much for some versions of it.
                    failed[name] = repr(error)
        print(f"\n{title}\n")
        for name in names:
            if name in failed:
                row = {"name": name, "what": what, "atOnce": at_once, "failed": failed[name]}
                self.results.append(row)
                print(f"  {name:<18}     failed: {failed[name]}")
                continue
            # The first round warms up.
            mine = rates[name][1:]
            ratio = statistics.median(a / b for a, b in zip(rates["phantomdb"][1:], mine))
            rate = statistics.median(mine)
            row = {"name": name, "what": what, "atOnce": at_once, "rate": rate, "ours": ratio}
            self.results.append(row)
            words = "" if name == "phantomdb" else f"ours {ratio:.2f} times as fast"
            print(f"  {name:<18}{rate:>12,.0f} /s   {words}".rstrip())


def compare_requests(bench: Bench, url: str, stack: ExitStack) -> None:
    """GET /databases, and the names out of its JSON."""
    pool = stack.enter_context(create_pool(url, CONNECTIONS, CONNECTIONS, preconnect=True))
    session = stack.enter_context(requests.Session())
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS, pool_block=True)
    session.mount("http://", adapter)
    manager = urllib3.PoolManager(maxsize=CONNECTIONS, block=True)
    stack.callback(manager.clear)
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    client = stack.enter_context(httpx.Client(limits=limits, timeout=60))
    databases = f"{url}/databases"

    def lease() -> list[str]:
        with pool.acquire() as one:
            return one.list_databases()

    work: dict[str, Callable[[], Any]] = {
        "phantomdb": pool.list_databases,
        LEASE: lease,
        "urllib3": lambda: manager.request("GET", databases).json()["databases"],
        "requests": lambda: session.get(databases).json()["databases"],
        "httpx": lambda: client.get(databases).json()["databases"],
    }
    for name, one in work.items():
        if one() != pool.list_databases():
            raise RuntimeError(f"{name} gets another response")
    counts = {"phantomdb": 8000, LEASE: 8000, "urllib3": 2000, "requests": 600, "httpx": 600}
    loads: list[tuple[int, str, Callable[[Callable[[], Any]], Run]]] = [
        (1, "the main thread", in_threads),
        (1, "1 thread", in_one_thread),
        (8, "8 threads", in_threads),
        (64, "64 threads", in_threads),
    ]
    for at_once, words, run in loads:
        what = "requests, main thread" if words == "the main thread" else "requests"
        title = f"requests, {words}, {CONNECTIONS} connections"
        bench.compare(what, title, at_once, counts, {name: run(one) for name, one in work.items()})


def compare_loads(bench: Bench, url: str, stack: ExitStack) -> None:
    """What more callers than connections cost; ours alone, beside 8 threads."""
    pool = stack.enter_context(create_pool(url, CONNECTIONS, CONNECTIONS, preconnect=True))
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    tasks = aio.create_pool(url, CONNECTIONS, CONNECTIONS, preconnect=True)
    stack.callback(lambda: loop.run_until_complete(tasks.close()))

    def lease() -> list[str]:
        with pool.acquire() as one:
            return one.list_databases()

    def at(load: int, run: Run) -> Run:
        return lambda _, count: run(load, count)

    contenders = {
        "phantomdb": at(8, in_threads(pool.list_databases)),
        "64 threads": at(64, in_threads(pool.list_databases)),
        "8 threads, lease": at(8, in_threads(lease)),
        "20 threads, lease": at(20, in_threads(lease)),
        "64 threads, lease": at(64, in_threads(lease)),
        "64 tasks": at(64, in_tasks(loop, tasks.list_databases)),
    }
    title = f"requests, 8 threads beside other loads, {CONNECTIONS} connections"
    bench.compare("requests, by load", title, 8, dict.fromkeys(contenders, 8000), contenders)


def compare_tasks(bench: Bench, url: str) -> None:
    """The same in an event loop."""
    loop = asyncio.new_event_loop()
    pool = aio.create_pool(url, CONNECTIONS, CONNECTIONS, preconnect=True)
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    client = httpx.AsyncClient(limits=limits, timeout=60)
    databases = f"{url}/databases"

    async def lease() -> list[str]:
        one = await pool.acquire()
        try:
            return await one.list_databases()
        finally:
            pool.release(one)

    async def theirs() -> list[str]:
        response = await client.get(databases)
        names: list[str] = response.json()["databases"]
        return names

    contenders = {
        "phantomdb": in_tasks(loop, pool.list_databases),
        LEASE: in_tasks(loop, lease),
        "httpx": in_tasks(loop, theirs),
    }
    counts = {"phantomdb": 8000, LEASE: 8000, "httpx": 400}
    for tasks in (1, 64):
        title = f"requests, asyncio, {tasks} tasks, {CONNECTIONS} connections"
        bench.compare("requests, asyncio", title, tasks, counts, contenders)
    loop.run_until_complete(client.aclose())
    loop.run_until_complete(pool.close())
    loop.close()


def compare_acquires(bench: Bench, url: str, stack: ExitStack) -> None:
    """Acquire and release, with connections that do nothing."""
    pool = stack.enter_context(create_pool(url, CONNECTIONS, CONNECTIONS))
    queue: Any = sqlalchemy.pool.QueuePool(NullConnection, pool_size=CONNECTIONS, max_overflow=0)
    psycopg: Any = stack.enter_context(
        ConnectionPool(
            connection_class=NullConnection,  # type: ignore[type-var]
            min_size=CONNECTIONS,
            max_size=CONNECTIONS,
        )
    )
    work: dict[str, Callable[[], object]] = {
        "phantomdb": lambda: pool.release(pool.acquire()),
        "QueuePool": lambda: queue.connect().close(),
        "psycopg_pool": lambda: psycopg.putconn(psycopg.getconn()),
    }
    counts = {"phantomdb": 100_000, "QueuePool": 20_000, "psycopg_pool": 40_000}
    contenders = {name: in_threads(one) for name, one in work.items()}
    for threads, words in ((1, "1 thread"), (8, "8 threads")):
        title = f"acquire and release, {words}, {CONNECTIONS} connections"
        bench.compare("acquires", title, threads, counts, contenders)


def main() -> None:
    """Measure all, show it, and write it down."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("results", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scale", type=float, default=1)
    given = parser.parse_args()
    bench = Bench(given.rounds, given.scale)
    with ExitStack() as stack:
        compare_requests(bench, given.url, stack)
        compare_loads(bench, given.url, stack)
        compare_tasks(bench, given.url)
        compare_acquires(bench, given.url, stack)
    given.results.parent.mkdir(parents=True, exist_ok=True)
    given.results.write_text(json.dumps(bench.report, indent=2) + "\n")


if __name__ == "__main__":
    main()
