"""Operations of a pool, each of which acquires, asks and releases in one call."""

import contextlib
import sys
import threading
import time

import pytest

import phantomdb
from conftest import NOBODY
from phantomdb.pool import PhantomDB, PhantomDBConnectionPool


@contextlib.contextmanager
def interpreter_kept():
    """Let no other thread run Python, unless this one waits."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def until(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def keep_until(is_so):
    """The same, without a wait that would let another thread run Python."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline


class OneCall:
    """Calls a pool in a thread, for which another one has to wait in the queue."""

    def __init__(self, pool):
        self.pool = pool
        self.client = pool.acquire()
        self.client.list_databases()
        self.outcome = None

    def is_over(self):
        status = self.pool.status()
        return status["pending"] == status["used"] == 0

    def call(self):
        self.outcome = self.pool.list_databases()

    def serve(self):
        """Let it have the connection; it must be back before the caller runs again."""
        until(lambda: self.pool.status()["pending"] == 1)
        with interpreter_kept():
            self.pool.release(self.client)
            keep_until(self.is_over)
            return self.outcome


@pytest.mark.parametrize("where", ["the main thread", "another thread"])
def test_the_interpreter_is_released_once_for_all_of_a_call(url, make_pool, where):
    one = OneCall(make_pool(url, 1, 1))
    seen = []
    steps = [one.call, lambda: seen.append(one.serve())]
    if where == "another thread":
        steps.reverse()
    other = threading.Thread(target=steps[1])
    other.start()
    steps[0]()
    other.join()
    # All was over before the caller had the interpreter again.
    assert seen == [None]
    assert one.outcome == []
    stats = one.pool.stats()
    assert (stats["acquires"]["direct"], stats["acquires"]["waited"]) == (1, 1)
    assert stats["created"] == 1


def test_calls_wait_their_turn_among_those_who_acquire(serve, make_pool):
    seen = []
    url = serve(lambda it: (seen.append(it.path), (200, {}))[1])
    pool = make_pool(url, 1, 1)
    client = pool.acquire()

    def acquire(path):
        with pool.connection() as one:
            one.request("GET", path)

    def call(path):
        pool.request("GET", path)

    threads = []
    for number, work in enumerate((acquire, call, call, acquire, call)):
        threads.append(threading.Thread(target=work, args=(f"/{number}",)))
        threads[-1].start()
        until(lambda: pool.status()["pending"] == len(threads))
    pool.release(client)
    for thread in threads:
        thread.join()
    assert seen == ["/0", "/1", "/2", "/3", "/4"]
    assert pool.stats()["acquires"]["waited"] == 5


def test_a_call_that_finds_no_connection_in_time_sends_nothing(serve, make_pool):
    seen = []
    url = serve(lambda it: (seen.append(it.path), (200, {}))[1])
    pool = make_pool(url, 1, 1, acquire_timeout=0.02)
    with pool.connection(), pytest.raises(phantomdb.TimeoutError, match="Timeout acquiring"):
        pool.request("GET", "/x")
    pool.request("GET", "/y")
    assert seen == ["/y"]
    assert pool.stats()["acquires"]["timed_out"] == 1


def test_a_call_gives_its_connection_back_whatever_comes_of_it(serve, make_pool):
    responses = {"/refused": (409, {"error": "no"}), "/broken": (200, b"{"), "/good": (200, {})}
    pool = make_pool(serve(lambda it: responses[it.path]), 1, 1)
    for path, error in (
        ("/refused", phantomdb.HTTPError),
        ("/good", None),
        ("/broken", phantomdb.ProtocolError),
        ("/good", None),
    ):
        with pytest.raises(error) if error else contextlib.nullcontext():
            pool.request("GET", path)
        assert pool.get_status()["used"] == 0
    with pytest.raises(TypeError):
        pool.list_tables(7)
    with pytest.raises(phantomdb.InvalidArgumentError):
        pool.delete("d", "t", " ")
    assert pool.get_status()["used"] == 0


def test_a_call_that_waits_hears_of_the_close(url, make_pool):
    pool = make_pool(url, 1, 1)
    client = pool.acquire()
    raised = []

    def call():
        with pytest.raises(phantomdb.ClosedError) as error:
            pool.health_check()
        raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    until(lambda: pool.status()["pending"] == 1)
    pool.close(0)
    thread.join()
    assert raised
    pool.release(client)
    with pytest.raises(phantomdb.ClosedError):
        pool.health_check()


def test_a_pool_has_no_call_that_begins_a_transaction(make_pool):
    # Whose connection would be back before anything happens in it.
    pool = make_pool(NOBODY)
    assert not hasattr(PhantomDBConnectionPool, "begin_transaction")
    assert hasattr(PhantomDB, "begin_transaction")
    numbers = {name: number for number, name, *_ in phantomdb._native.operations}
    with pytest.raises(phantomdb.InvalidArgumentError):
        pool._run(numbers["begin_transaction"], None)
