"""gevent and trio: what they need, and Ctrl-C under gevent."""

import asyncio
import re
import signal
import time

import pytest

from conftest import NOBODY, python, rest, run_python
from phantomdb import aio

pytest.importorskip("gevent")

#: gevent's own imports warn on some versions of Python.
BEGIN = """
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import gevent
    from gevent import monkey
    PATCH
    from gevent.pool import Pool as Greenlets
    import phantomdb
    from phantomdb.gevent import PhantomDB, connect, create_pool
import os, signal, sys, threading, time
url = sys.argv[1] if len(sys.argv) > 1 else None

def until(is_so):
    while not is_so():
        gevent.sleep(0.001)
"""

PATCHES = {"patched": "monkey.patch_all()", "not patched": ""}


def begin(patch):
    return BEGIN.replace("PATCH", PATCHES[patch])


def test_ctrl_c_is_noticed_by_a_plain_pool_although_gevent_replaced_threading(holding):
    program = f"""{begin("patched")}
from phantomdb.pool import create_pool
pool = create_pool(url, 1, 1, acquire_timeout=100, request_timeout=100)
client = pool.acquire()
for wait in (pool.acquire, client.health_check, pool.health_check):
    print("waits", flush=True)
    try:
        wait()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
pool.release(client)
pool.close(0)
"""
    with python("-c", program, holding.url) as process:
        for _ in range(3):
            assert process.stdout.readline() == "waits\n"
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "interrupted\n"
        assert rest(process) == ("", "")
        assert process.returncode == 0


@pytest.mark.parametrize("patch", PATCHES)
def test_ctrl_c_ends_the_wait_of_the_main_greenlet(holding, patch):
    program = f"""{begin(patch)}
pool = create_pool(url, 1, 1, acquire_timeout=100, request_timeout=100)
client = pool.acquire()
for wait in (pool.acquire, client.health_check):
    print("waits", flush=True)
    try:
        wait()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
pool.release(client)
pool.acquire(1).close()
pool.close(0)
"""
    with python("-c", program, holding.url) as process:
        for _ in range(2):
            assert process.stdout.readline() == "waits\n"
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "interrupted\n"
        output, errors = rest(process)
        # The hub tells of every Ctrl-C, with the time.
        assert re.fullmatch(r"(KeyboardInterrupt\n[0-9T:Z-]+\n){2}", errors), errors
        assert (output, process.returncode) == ("", 0)


@pytest.mark.parametrize("patch", PATCHES)
def test_greenlets_share_fewer_connections_than_they_are(url, patch):
    program = f"""{begin(patch)}
pool = create_pool(url, 1, 2)
ticks = []
def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.001)
ticker = gevent.spawn(tick)
order = []
def work(number):
    with pool.connection(owner=f"greenlet {{number}}") as client:
        # Who holds one does something else meanwhile.
        gevent.sleep(0.01)
        order.append(number)
        response = client.execute_query("d", "SELECT ? AS n", [number])
        assert response["rows"] == [{{"n": number}}], response
pool.create_database("d")
for _ in range(3):
    greenlets = [gevent.spawn(work, number) for number in range(20)]
    gevent.joinall(greenlets, raise_error=True, timeout=60)
assert sorted(order) == sorted(list(range(20)) * 3)
assert len(ticks) > 20, len(ticks)
assert pool.get_status()["used"] == 0
ticker.kill()
pool.drop_database("d")
with connect(url) as client:
    assert client.health_check()["status"] == "healthy"
    assert client.request("GET", "/databases") == {{"databases": []}}
pool.close()
pool.close()
# The hub has nothing left to wait for.
gevent.wait()
print("shared")
"""
    assert run_python(program, url) == "shared\n"


def test_a_greenlet_that_is_killed_or_out_of_time_loses_nothing(holding):
    program = f"""{begin("not patched")}
pool = create_pool(url, 1, 1, request_timeout=100)
client = pool.acquire()
waiting = [gevent.spawn(pool.acquire) for _ in range(3)]
until(lambda: pool.status()["pending"] == 3)
waiting[0].kill()
assert isinstance(waiting[0].value, gevent.GreenletExit)
until(lambda: pool.status()["pending"] == 2)
with gevent.Timeout(0.05, False):
    pool.acquire()
    raise AssertionError("it got a client")
try:
    pool.acquire(0.05)
except phantomdb.TimeoutError as error:
    assert "Timeout" in str(error)
pool.release(client)
client = waiting[1].get(timeout=20)
# One that is killed when its client has come, but before it runs.
pool.release(client)
waiting[2].kill()
asked = gevent.spawn(pool.health_check)
until(lambda: pool.status()["used"] == 1)
asked.kill()
until(lambda: pool.status()["used"] == 0)
client = pool.acquire(20)
try:
    client.execute_query("d", "x", "y")
except phantomdb.InvalidArgumentError:
    pass
closing = gevent.spawn(pool.close, 100)
until(lambda: closing.started and not closing.ready())
gevent.sleep(0.01)
closing.kill()
try:
    pool.acquire()
except phantomdb.ClosedError:
    client.close()
stats = None
gevent.wait()
print("nothing lost")
"""
    assert run_python(program, holding.url) == "nothing lost\n"


def test_threads_have_hubs_of_their_own_and_forked_children_too(url):
    program = f"""{begin("not patched")}
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
pool = create_pool(url, 1, 2)
pool.list_databases()
responses = []
def work():
    greenlets = [gevent.spawn(pool.health_check) for _ in range(5)]
    gevent.joinall(greenlets, raise_error=True)
    responses.extend(it.value["status"] for it in greenlets)
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert responses == ["healthy"] * 15, responses
child = gevent.os.fork()
if child == 0:
    pool.list_databases()
    os._exit(0)
assert os.waitpid(child, 0) == (child, 0)
pool.list_databases()
pool.close()
print("each its own")
"""
    assert run_python(program, url) == "each its own\n"


def test_a_plain_pool_is_used_through_the_hub_s_threads(url):
    # What the README recommends where the plain pool has to be used.
    program = f"""{begin("patched")}
from phantomdb.pool import create_pool
pool = create_pool(url, 1, 2)
threads = gevent.get_hub().threadpool
def work(_):
    client = threads.apply(pool.acquire)
    try:
        gevent.sleep(0.02)
        return threads.apply(client.health_check)["status"]
    finally:
        pool.release(client)
started = time.monotonic()
assert Greenlets(6).map(work, range(6)) == ["healthy"] * 6
assert time.monotonic() - started < 10
pool.close()
print("served")
"""
    assert run_python(program, url) == "served\n"


def test_a_loop_that_is_not_asyncio_s_is_told_what_to_use():
    async def ask():
        await aio.create_pool(NOBODY).list_databases()

    with pytest.raises(RuntimeError, match=r"needs asyncio's.*trio\.to_thread\.run_sync"):
        ask().send(None)


def test_trio_uses_the_pool_in_its_threads(url):
    trio = pytest.importorskip("trio")
    from phantomdb.pool import create_pool

    async def main():
        with create_pool(url, 1, 2) as pool:
            found = []

            async def work():
                client = await trio.to_thread.run_sync(pool.acquire)
                await trio.sleep(0.01)
                found.append(await trio.to_thread.run_sync(client.list_databases))
                pool.release(client)

            async with trio.open_nursery() as nursery:
                for _ in range(6):
                    nursery.start_soon(work)
            assert found == [[]] * 6

    trio.run(main)
    asyncio.run(asyncio.sleep(0))
