"""Pools in event loops."""

import asyncio
import gc
import os
import threading
import time

import pytest

import phantomdb
from conftest import NOBODY, run_in_threads
from phantomdb import aio


def run(test, *arguments):
    """Run a test in an event loop, which complains of what is slow, or never awaited."""
    asyncio.run(asyncio.wait_for(test(*arguments), 60), debug=True)


async def until(is_so):
    """Wait for what tells nobody when it changes."""
    while not is_so():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def thread_count():
    return len(os.listdir("/proc/self/task"))


def test_every_operation(url):
    async def test():
        async with aio.create_pool(url) as pool:
            for db in (pool, await pool.acquire(), aio.PhantomDB(url)):
                assert (await db.health_check())["status"] == "healthy"
                await db.create_database("d")
                assert await db.list_databases() == ["d"]
                columns = [{"name": "n", "type": "integer"}, {"name": "s", "type": "string"}]
                await db.create_table("d", "t", columns)
                assert await db.list_tables("d") == ["t"]
                await db.insert("d", "t", {"n": 1, "s": "ä😀"})
                await db.insert("d", "t", {"n": 2**60 + 1, "s": None})
                assert await db.select("d", "t", "n = 1") == [{"n": 1, "s": "ä😀"}]
                assert (await db.update("d", "t", {"s": "x"}, "n > 1"))["count"] == 1
                response = await db.execute_query("d", "SELECT n, s FROM t WHERE n > ?", [1])
                assert response["rows"] == [{"n": 2**60 + 1, "s": "x"}]
                assert (await db.delete("d", "t", "1=1"))["count"] == 2
                assert await db.request("GET", "/databases/d/tables") == {"tables": ["t"]}
                await db.drop_table("d", "t")
                with pytest.raises(phantomdb.HTTPError) as raised:
                    await db.list_tables("nothing")
                assert raised.value.status == 404
                with pytest.raises(phantomdb.InvalidArgumentError, match="condition"):
                    await db.delete("d", "t", " ")
                with pytest.raises(TypeError, match="database: must be str"):
                    await db.list_tables(7)
                await db.drop_database("d")
                if db is not pool:
                    await db.close()
                    await db.close()
            assert pool.get_status()["used"] == 0

    run(test)


def test_transactions(url):
    async def test():
        async with aio.create_pool(url) as pool, pool.connection() as client:
            await client.create_database("bank")
            await client.create_table("bank", "t", [{"name": "n", "type": "integer"}])
            number = await client.begin_transaction("bank")
            await client.insert("bank", "t", {"n": 1})
            await client.commit_transaction(number)
            await client.begin_transaction()
            await client.insert("bank", "t", {"n": 2})
            await client.rollback_transaction()
            async with client.transaction("bank"):
                await client.insert("bank", "t", {"n": 3})
            with pytest.raises(RuntimeError, match="mine"):
                async with client.transaction("bank"):
                    await client.insert("bank", "t", {"n": 4})
                    raise RuntimeError("mine")
            assert [row["n"] for row in await client.select("bank", "t")] == [1, 3]
            assert (await pool.query("bank", "SELECT 1 AS one"))["rows"] == [{"one": 1}]
            await client.drop_database("bank")

    run(test)


def test_acquire_and_release(url):
    async def test():
        pool = aio.create_pool(url, max_connections=2)
        first = await pool.acquire()
        assert isinstance(first, aio.PhantomDB)
        assert pool.get_status() == {"available": 1, "used": 1, "min": 2, "max": 2}
        second = await pool.acquire(1, owner="me")
        with pytest.raises(phantomdb.WouldBlockError):
            pool.try_acquire(owner="me")
        with pytest.raises(phantomdb.TimeoutError, match="Timeout"):
            await pool.acquire(0.01)
        with pytest.raises(phantomdb.TimeoutError, match="Timeout"):
            await pool.acquire(0)
        with pytest.raises(phantomdb.InvalidArgumentError, match="timeout"):
            await pool.acquire(-1)
        order = []

        async def wait(number):
            async with pool.connection(owner=f"number {number}") as client:
                order.append(number)
                await client.health_check()

        tasks = [asyncio.create_task(wait(number)) for number in range(5)]
        await until(lambda: pool.status()["pending"] == 5)
        pool.release(first)
        pool.release(second)
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2, 3, 4]
        with pytest.raises(phantomdb.InvalidHandleError, match="released already"):
            await first.health_check()
        async with await pool.acquire() as client:
            pool.discard(client)
        assert pool.get_status()["used"] == 0
        await pool.close()
        with pytest.raises(phantomdb.ClosedError):
            await pool.acquire()
        await pool.close()

    run(test)


def test_waiting_tasks_cost_no_thread_and_the_loop_goes_on(holding):
    async def test():
        pool = aio.create_pool(holding.url, 1, 1)
        client = await pool.acquire()
        asking = asyncio.create_task(client.health_check())
        await until(lambda: holding.waiting == 1)
        before = thread_count()
        tasks = [asyncio.create_task(pool.acquire()) for _ in range(1000)]
        await until(lambda: pool.status()["pending"] == 1000)
        # But perhaps the housekeeper, whom the first waiter has started.
        assert thread_count() <= before + 1
        holding.release()
        assert await asking == {"status": "healthy"}
        pool.release(client)
        for task in tasks:
            pool.release(await task)
        assert pool.stats()["acquires"]["waited"] == 1000
        await pool.close()

    run(test)


def test_requests_on_one_client_run_in_turn(serve):
    seen = []

    def response(handler):
        seen.append(handler.path)
        return 200, {}

    url = serve(response)

    async def test():
        async with aio.connect(url) as client:
            await asyncio.gather(*(client.request("GET", f"/{n}") for n in range(20)))

    run(test)
    assert seen == [f"/{n}" for n in range(20)]


def test_a_cancelled_acquire_leaves_the_queue(url):
    async def test():
        async with aio.create_pool(url, 1, 1) as pool:
            client = await pool.acquire()
            first = asyncio.create_task(pool.acquire())
            second = asyncio.create_task(pool.acquire())
            await until(lambda: pool.status()["pending"] == 2)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            assert pool.status()["pending"] == 1
            pool.release(client)
            pool.release(await second)

    run(test)


def test_a_cancelled_request_is_cut(holding):
    async def test():
        async with aio.create_pool(holding.url, 1, 1) as pool:
            async with pool.connection() as client:
                for db in (client, pool):
                    if db is pool:
                        pool.resize(2, 2)
                    with pytest.raises(asyncio.TimeoutError):
                        await asyncio.wait_for(db.health_check(), 0.05)
            assert pool.get_status()["used"] == 0
            holding.release(3)
            assert await pool.health_check() == {"status": "healthy"}

    run(test)


def test_cancelling_at_any_moment_loses_nothing(url):
    async def test():
        async with aio.create_pool(url, 2, 3) as pool:

            async def work():
                async with pool.connection() as client:
                    await client.list_databases()

            async def wait():
                pool.release(await pool.acquire())

            for turns in range(300):
                tasks = [asyncio.create_task(job()) for job in (work, wait, pool.health_check) * 2]
                for _ in range(turns % 30):
                    await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                    if turns % 2:
                        asyncio.get_running_loop().call_soon(task.cancel)
                await asyncio.gather(*tasks, return_exceptions=True)
            assert pool.status()["used"] == 0
            assert pool.status()["pending"] == 0
            # All are there.
            clients = [await pool.acquire(10) for _ in range(3)]
            for client in clients:
                assert isinstance(await client.list_databases(), list)
                pool.release(client)

    run(test)


def test_a_cancel_that_comes_with_the_client_gives_it_back(url):
    async def test():
        async with aio.create_pool(url, 1, 1) as pool:
            client = await pool.acquire()
            waiting = asyncio.create_task(pool.acquire())
            await until(lambda: pool.status()["pending"] == 1)
            pool.release(client)
            # Its outcome is in the queue, and the task has not gone on yet.
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert pool.get_status()["used"] == 0

    run(test)


def test_closing(holding):
    async def test():
        pool = aio.create_pool(holding.url, 1, 1)
        client = await pool.acquire()
        asking = asyncio.create_task(client.health_check())
        waiting = asyncio.create_task(pool.acquire())
        await until(lambda: holding.waiting == 1 and pool.status()["pending"] == 1)
        started = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            # A close whose task is cancelled hurries, and is complete nevertheless.
            await asyncio.wait_for(pool.close(50), 0.05)
        assert time.monotonic() - started < 20
        for task in (asking, waiting):
            with pytest.raises(phantomdb.ClosedError):
                await task
        with pytest.raises(phantomdb.ClosedError):
            pool.get_status()
        pool.release(client)

    run(test)


def test_several_loops_in_several_threads_share_a_pool(url):
    pool = aio.create_pool(url, 2, 4)
    done = []

    def work(number):
        async def task():
            for _ in range(10):
                async with pool.connection() as client:
                    await client.list_databases()
            done.append(number)

        async def tasks():
            await asyncio.gather(*(task() for _ in range(5)))

        # Twice, because a loop that is closed leaves nothing behind.
        run(tasks)
        run(tasks)

    run_in_threads(4, work)
    assert len(done) == 40
    assert pool.status()["used"] == 0
    run(pool.close)


def test_a_loop_that_is_closed_meanwhile_loses_nothing(holding):
    pool = aio.create_pool(holding.url, 1, 1)
    loop = asyncio.new_event_loop()
    client = loop.run_until_complete(pool.acquire())
    tasks = [loop.create_task(pool.acquire()), loop.create_task(client.health_check())]
    loop.run_until_complete(until(lambda: pool.status()["pending"] == 1))
    holding.holds(1)
    loop.close()
    pool.release(client)
    holding.release()
    for task in tasks:
        # They are destroyed while they are pending, which asyncio would report.
        task._log_destroy_pending = False
    del task, tasks, client, loop
    gc.collect()
    deadline = time.monotonic() + 20
    while pool.status()["used"]:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    run(pool.close)


def test_the_loop_does_not_wait_for_the_server(holding):
    async def test():
        async with aio.create_pool(holding.url, 4, 4) as pool:
            longest = 0.0
            tasks = [asyncio.create_task(pool.health_check()) for _ in range(100)]
            await until(lambda: holding.waiting == 4)
            for _ in range(100):
                started = time.monotonic()
                await asyncio.sleep(0)
                longest = max(longest, time.monotonic() - started)
            assert longest < 0.5
            holding.release(100)
            await asyncio.gather(*tasks)

    run(test)


def test_errors_have_their_classes(url):
    async def test():
        async with aio.create_pool(NOBODY, min_connections=0) as pool:
            with pytest.raises(phantomdb.UnavailableError, match="127.0.0.1:9") as raised:
                await pool.acquire()
            assert raised.value.retriable is True
        async with aio.create_pool(url, 1, 1, max_waiters=1) as pool, pool.connection():
            waiting = asyncio.create_task(pool.acquire())
            await until(lambda: pool.status()["pending"] == 1)
            with pytest.raises(phantomdb.OverloadedError):
                await pool.acquire()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    run(test)


def test_outside_of_a_loop_there_is_nothing_to_wait_in(url):
    pool = aio.create_pool(url)
    coroutine = pool.acquire()
    with pytest.raises(RuntimeError, match="no running event loop"):
        coroutine.send(None)
    run(pool.close)
    assert threading.current_thread() is threading.main_thread()


def test_rule_22_an_acquire_that_was_given_up_already_counts_once():
    async def test():
        async with aio.create_pool(NOBODY, 1, 1) as pool:
            client = await pool.acquire(0)

            async def given_up():
                asyncio.current_task().cancel()
                await pool.acquire()

            with pytest.raises(asyncio.CancelledError):
                await asyncio.ensure_future(given_up())
            for timeout in (0, 1e-9):
                with pytest.raises(TimeoutError):
                    await pool.acquire(timeout)
            counted = pool.stats()["acquires"]
            assert [counted.pop(it) for it in ("direct", "timed_out", "cancelled")] == [1, 2, 1]
            assert set(counted.values()) == {0}
            pool.release(client)

    run(test)


def test_the_loop_is_woken_once_for_what_completes_meanwhile(holding):
    async def test():
        loop, takes = asyncio.get_running_loop(), []

        def add_reader(descriptor, callback):
            type(loop).add_reader(loop, descriptor, lambda: takes.append(callback()))

        loop.add_reader = add_reader
        async with aio.create_pool(holding.url, 10, 10) as pool:
            tasks = [asyncio.create_task(pool.health_check()) for _ in range(10)]
            await until(lambda: holding.waiting == 10)
            holding.release(10)
            while pool.get_status()["used"]:
                time.sleep(0.001)  # noqa: ASYNC251
            assert takes == []
            await asyncio.gather(*tasks)
            # The last connection is back just before its completion is there.
            assert 1 <= len(takes) <= 2

    run(test)


@pytest.mark.parametrize("comes", ["before", "after"])
def test_an_acquire_that_is_thrown_away_gives_its_client_back(url, comes):
    async def test():
        async with aio.create_pool(url, 1, 1) as pool:
            client = await pool.acquire()
            waiting = pool.acquire()
            future = waiting.send(None)
            if comes == "before":
                pool.release(client)
                await until(future.done)
            waiting.close()
            if comes == "after":
                pool.release(client)
            await until(lambda: pool.status()["used"] == 0)
            assert pool.status()["pending"] == 0
            pool.release(await pool.acquire())

    run(test)
    # With a warning it would be the collector that has released it.
    gc.collect()


def test_a_request_that_is_thrown_away_is_silent(url, caplog):
    async def test():
        async with aio.create_pool(url, 1, 1) as pool:
            for path in ("/databases", "/nothing"):
                for is_awaited in (True, False):
                    asking = pool.request("GET", path)
                    future = asking.send(None)
                    if is_awaited:
                        await until(future.done)
                    asking.close()
                    del asking, future
            await until(lambda: pool.status()["used"] == 0)
            gc.collect()

    run(test)
    told = [record.getMessage() for record in caplog.records]
    # asyncio also tells of what is slow, which a busy machine may make anything.
    assert not [it for it in told if "never" in it]
