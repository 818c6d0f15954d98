"""Reads whatever a hostile server sends, by the Python binding, from threads and from asyncio.

client.py URL SECONDS SEED
"""

import asyncio
import random
import sys
import threading
import time

import phantomdb
from phantomdb import aio
from phantomdb.pool import create_pool

URL, END, SEED = sys.argv[1], time.monotonic() + float(sys.argv[2]), sys.argv[3]
OPTIONS = {"max_connections": 3, "request_timeout": 0.5, "acquire_timeout": 5}
counts = {"values": 0, "errors": 0}
wrong: list[BaseException] = []

CALLS = (
    lambda it: it.select("d", "t"),
    lambda it: it.select("d", "t"),
    lambda it: it.execute_query("d", "SELECT 1"),
    lambda it: it.execute_query("d", "SELECT 1"),
    lambda it: it.list_databases(),
    lambda it: it.list_tables("d"),
    lambda it: it.insert("d", "t", {"a": 1}),
    lambda it: it.update("d", "t", {"a": 1}, "1=1"),
    lambda it: it.health_check(),
    lambda it: it.request("GET", "/any"),
)


def look(it: object, depth: int = 0) -> None:
    """Touches everything, so that what is freed or of no type is found."""
    if isinstance(it, dict):
        for name, value in it.items():
            assert isinstance(name, str), name
            look(value, depth + 1)
    elif isinstance(it, list):
        for value in it:
            look(value, depth + 1)
    else:
        hash(it), repr(it)[:10] if not isinstance(it, int) else it.bit_length()


def work(number: int) -> None:
    chance = random.Random(f"{SEED}-{number}")
    try:
        with create_pool(URL, **OPTIONS) as pool:
            while time.monotonic() < END and not wrong:
                try:
                    with pool.connection() as client:
                        for _ in range(chance.randrange(1, 6)):
                            look(chance.choice(CALLS)(client))
                            counts["values"] += 1
                except phantomdb.PhantomDBError:
                    counts["errors"] += 1
    except BaseException as error:  # noqa: BLE001
        wrong.append(error)
        raise


async def work_async() -> None:
    chance = random.Random(SEED)
    async with aio.create_pool(URL, **OPTIONS) as pool:

        async def one() -> None:
            while time.monotonic() < END:
                try:
                    async with pool.connection() as client:
                        call = chance.choice(CALLS)(client)
                        look(
                            await (asyncio.wait_for(call, 0.01) if chance.random() < 0.1 else call)
                        )
                        counts["values"] += 1
                except (phantomdb.PhantomDBError, asyncio.TimeoutError):
                    counts["errors"] += 1

        await asyncio.gather(*(one() for _ in range(3)))


threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
for thread in threads:
    thread.start()
asyncio.run(work_async())
for thread in threads:
    thread.join()
if wrong:
    sys.exit(f"seed {SEED}: {wrong[0]!r}")
print("values", counts["values"], "errors", counts["errors"])
assert counts["values"] > 0 < counts["errors"], counts
