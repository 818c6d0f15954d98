"""How pools and clients end, and what is left of them: at the end of the program, and before."""

import gc
import os
import threading
import time
import weakref

import pytest

from conftest import NOBODY, python, rest, run_python
from phantomdb.pool import create_pool

BEGIN = """
import asyncio, atexit, sys, threading, time
from phantomdb import aio
from phantomdb.pool import create_pool
pool = create_pool(sys.argv[1], 1, 2, acquire_timeout=100, request_timeout=100, close_timeout=100)
"""

ENDS = {
    "nothing is closed": "pool.acquire().list_databases\nclient = pool.acquire()",
    "the pool is closed twice": "atexit.register(pool.close)\npool.health_check()",
    "a daemon thread waits": """
a, b = pool.acquire(), pool.acquire()
threading.Thread(target=pool.acquire, daemon=True).start()
while pool.status()['pending'] == 0: time.sleep(0.001)
""",
    "daemon threads work": """
def work():
    while True: pool.list_databases()
for _ in range(4): threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
""",
    "a log is told": """
pool = create_pool(sys.argv[1], 1, 50, leak_threshold=0.001, log=lambda *_: time.sleep(0.001))
clients = [pool.acquire() for _ in range(50)]
time.sleep(0.05)
""",
    "a task waits": """
tasks_pool = aio.create_pool(sys.argv[1], 1, 1)
async def main():
    global client
    client = await tasks_pool.acquire()
    asyncio.ensure_future(tasks_pool.acquire())
    await asyncio.sleep(0)
asyncio.run(main())
""",
    "an exception is raised": "client = pool.acquire()\nsys.exit(client.health_check() and 0)",
}


@pytest.mark.parametrize("end", ENDS)
def test_the_program_ends_well_when(url, end):
    # A client that is left out is none of the point here.
    program = f"import warnings\nwarnings.simplefilter('ignore', ResourceWarning){BEGIN}{ENDS[end]}"
    started = time.monotonic()
    with python("-c", program, url) as process:
        assert rest(process) == ("", "")
    assert process.returncode == 0
    assert time.monotonic() - started < 20


def test_a_client_that_is_left_out_at_the_end_is_told_of(url):
    with python("-W", "always", "-c", f"{BEGIN}\nclient = pool.acquire()", url) as process:
        output, errors = rest(process)
    assert (output, process.returncode) == ("", 0)
    assert "ResourceWarning: a client of <phantomdb.pool." in errors
    assert "Traceback" not in errors


def counts():
    gc.collect()
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def comes_down_to(before):
    deadline = time.monotonic() + 20
    while not all(now <= then for now, then in zip(counts(), before)):
        assert time.monotonic() < deadline, (counts(), before)
        time.sleep(0.01)


def test_a_pool_that_is_collected_closes(url):
    before = counts()
    pool = create_pool(url)
    pool.list_databases()
    assert counts()[0] > before[0]
    del pool
    comes_down_to(before)


def test_a_pool_in_a_circle_with_its_log_is_collected_and_closes(url):
    class Service:
        def __init__(self):
            self.pool = create_pool(url, leak_threshold=100, log=self.log)

        def log(self, level, message):
            pass

    before = counts()
    service = Service()
    service.pool.list_databases()
    known = weakref.ref(service.pool)
    del service
    gc.collect()
    assert known() is None
    comes_down_to(before)


def test_a_client_keeps_its_pool():
    pool = create_pool(NOBODY)
    client = pool.acquire()
    known = weakref.ref(pool)
    del pool
    gc.collect()
    assert known() is client.pool
    client.close()
    assert client.is_released
    del client
    gc.collect()
    assert known() is None


def test_nothing_is_left_of_closed_pools(url):
    before = counts()
    for _ in range(20):
        with create_pool(url, 1, 4) as pool:
            threads = [threading.Thread(target=pool.list_databases) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    comes_down_to(before)


MEMORY = """
import asyncio, gc, logging, os, sys, warnings
import phantomdb
from phantomdb import aio
from phantomdb.pool import create_pool
warnings.simplefilter('ignore', ResourceWarning)
logging.disable()

def size():
    gc.collect()
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

pool = create_pool(sys.argv[1], 1, 2)
tasks_pool = aio.create_pool(sys.argv[1], 1, 2)

def threads():
    for _ in range(300):
        with pool.connection(owner='me') as client:
            client.list_databases()
        pool.status(), pool.get_status(), pool.stats(), pool.metrics()
        pool.acquire()
        for call in (lambda: pool.list_tables('nothing'), lambda: pool.list_tables(7),
                     lambda: pool.insert('d', 't', {1, 2}), lambda: pool.acquire(-1),
                     lambda: create_pool('ftp://x'), lambda: pool.release(None)):
            try:
                call()
            except (phantomdb.PhantomDBError, TypeError):
                pass

async def loop():
    for _ in range(300):
        async with tasks_pool.connection(owner='me') as client:
            await client.list_databases()
        held = [await tasks_pool.acquire(), await tasks_pool.acquire()]
        tasks = [asyncio.ensure_future(tasks_pool.acquire()) for _ in range(4)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[1].cancel()
        for client in held:
            tasks_pool.release(client)
        for client in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(client, aio.PhantomDB):
                tasks_pool.release(client)
        try:
            await tasks_pool.list_tables('nothing')
        except phantomdb.PhantomDBError:
            pass

def work():
    threads()
    asyncio.run(loop())
    with create_pool(sys.argv[1], log=print) as one:
        one.list_databases()

# What leaks grows in every round; what else grows, the allocator's pools for instance, stops.
work()
for _ in range(12):
    blocks, before = sys.getallocatedblocks(), size()
    work()
    grown = size() - before, sys.getallocatedblocks() - blocks
    if grown[0] < 64_000 and grown[1] < 200:
        print('flat')
        break
else:
    print(grown)
"""


def test_memory_does_not_grow(url):
    assert run_python(MEMORY, url) == "flat\n"


def test_a_pool_may_be_collected_in_its_own_log(url):
    ready, told = threading.Event(), threading.Event()

    def log(level, message):
        # It may come before the client is held.
        assert ready.wait(20)
        held.pop().close()
        held.clear()
        told.set()

    before = counts()
    held = [create_pool(url, leak_threshold=0.01, log=log)]
    known = weakref.ref(held[0])
    held.append(held[0].acquire())
    ready.set()
    assert told.wait(20)
    comes_down_to(before)
    assert known() is None
