"""Objects that are half made, or half gone: a clear error in every method, and never a crash."""

import gc
import inspect
import sys
import time
import types
import weakref

import pytest

import phantomdb
from conftest import NOBODY, run_python
from phantomdb import _native, aio
from phantomdb.client import PhantomDB
from phantomdb.pool import PhantomDBConnectionPool, create_pool

#: Calls every method of an object with arguments of the kinds that they take; none may end well.
EVERY_METHOD = """
import asyncio, gc, inspect, itertools
import phantomdb
from phantomdb import _native, aio
from phantomdb.client import PhantomDB
from phantomdb.pool import PhantomDBConnectionPool

class Forgetful:
    def __init__(self, *_, **__):
        pass

def class_of(base):
    return type("Sub" + base.__name__, (Forgetful, base), {})

CLIENTS = [PhantomDB, aio.PhantomDB, _native.Connection]
POOLS = [PhantomDBConnectionPool, aio.Pool, _native.Pool]
VALUES = [None, 1, 0.01, "text", b"body", [1], {"a": 1}, ("d", "q"), PhantomDB, True]
#: These need no connection.
SILENT = ("close", "_tell", "__enter__", "__exit__", "__repr__", "__del__", "_ask")

async def finish(outcome):
    if inspect.isawaitable(outcome):
        return await outcome
    if hasattr(outcome, "__aenter__"):
        async with outcome:
            pass
    elif hasattr(outcome, "__enter__"):
        with outcome:
            pass
    return outcome

async def main():
    whole = PhantomDBConnectionPool("http://127.0.0.1:9")
    free = whole.acquire()
    whole.release(free)
    known = []
    for base in CLIENTS + POOLS:
        for it in (base.__new__(base), class_of(base)()):
            known.append(it)
    values = VALUES + known + [whole, free]
    for it in known:
        for name in dir(type(it)):
            if name.startswith("__") and name not in SILENT:
                continue
            if name in ("_open", "_client_type", "_log"):
                continue
            try:
                method = getattr(it, name)
            except phantomdb.InvalidHandleError as error:
                assert "__init__" in str(error), (name, error)
                continue
            if not callable(method):
                assert name in ("is_released", "_owns_pool"), name
                continue
            seen = []
            for count in range(4):
                same = [(value,) * count for value in values]
                for given in [*same, ("d", "t", {"a": 1})[:count]]:
                    try:
                        await finish(method(*given))
                    except Exception as error:
                        seen.append(error)
            told = [error for error in seen if "__init__" in str(error)]
            assert told or name in SILENT, (type(it), name, set(map(repr, seen)))
    for it in known:
        for other in (whole, free):
            for call in (whole.release, whole.discard, free._open):
                try:
                    call(it)
                except (phantomdb.PhantomDBError, TypeError):
                    continue
                raise AssertionError("it was accepted")
    queue = _native.CompletionQueue()
    for it in known:
        for call in (
            lambda: queue.run(None, it, 2), lambda: queue.request(None, it, "GET", "/", None),
            lambda: queue.acquire(None, it, None, None), lambda: queue.close(None, it, None),
        ):
            try:
                call()
            except (phantomdb.InvalidHandleError, TypeError):
                continue
            raise AssertionError("it was accepted")
    assert len(queue) == 0
    whole.close()
    del known, values
    gc.collect()
    print("alive")

asyncio.run(main(), debug=False)
"""


def test_an_object_whose_init_did_not_run_says_so_in_every_method():
    assert run_python(EVERY_METHOD).splitlines()[-1] == "alive"


@pytest.mark.parametrize("base", [PhantomDBConnectionPool, aio.Pool])
def test_a_pool_can_not_be_opened_twice(base):
    told = []
    pool = base(NOBODY, max_connections=3, log=lambda *it: told.append(it))
    for _ in range(2):
        with pytest.raises(TypeError, match="opened once"):
            pool.__init__(NOBODY, max_connections=5)
    assert pool.get_status()["max"] == pool.max_connections == 3
    assert pool._log is not None


def test_a_pool_that_could_not_be_opened_can_be_tried_again():
    pool = PhantomDBConnectionPool.__new__(PhantomDBConnectionPool)
    for options in ({"min_connections": 9}, {"base_url": "ftp://x"}, {"max_lifetime": -1}):
        for log in (None, print):
            with pytest.raises(phantomdb.PhantomDBError):
                pool.__init__(**{"base_url": NOBODY, "max_connections": 3, **options}, log=log)
            with pytest.raises(phantomdb.InvalidHandleError, match="never opened"):
                pool.acquire()
    pool.__init__(NOBODY, log=print)
    assert pool.get_status()["available"] == 10 or pool.get_status()["max"] == 10
    pool.close()


def test_an_option_whose_reading_opens_the_pool_does_not_open_it_twice():
    class Number:
        def __index__(self):
            PhantomDBConnectionPool.__init__(pool, NOBODY, max_connections=4)
            return 7

    pool = PhantomDBConnectionPool.__new__(PhantomDBConnectionPool)
    with pytest.raises(TypeError, match="opened once"):
        pool.__init__(NOBODY, max_connections=Number())
    assert pool.get_status()["max"] == 4
    pool.close()


def test_a_client_of_a_pool_can_not_be_opened_again():
    with create_pool(NOBODY) as pool, pool.connection() as client:
        with pytest.raises(TypeError, match="opened once"):
            client.__init__(NOBODY)
        assert client.pool is pool
        assert pool.get_status()["used"] == 1


def test_what_is_used_after_the_close_says_closed():
    pool = create_pool(NOBODY)
    client = pool.acquire()
    pool.close(0)
    calls = [pool.acquire, pool.try_acquire, pool.get_status, pool.status, pool.stats, pool.metrics]
    calls += [pool.reset, lambda: pool.resize(1, 2), lambda: pool.set_token("x"), pool.health_check]
    calls += [client.health_check, client.begin_transaction, lambda: client.request("GET", "/")]
    for call in calls:
        with pytest.raises(phantomdb.ClosedError, match="closed"):
            call()
    client.close()
    client.close()
    pool.close()


class Stubborn(PhantomDB):
    """Has a __del__ that does not call the one it inherits."""

    def __del__(self):
        pass


class StubbornPool(PhantomDBConnectionPool):
    _client_type = Stubborn

    def __del__(self):
        pass


@pytest.mark.filterwarnings("ignore:a client of:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_with_a_del_of_its_own_is_given_back():
    pool = StubbornPool(NOBODY, log=print)
    client = pool.acquire()
    assert pool.get_status()["used"] == 1
    del client
    assert pool.get_status()["used"] == 0
    client = pool.acquire()
    client_in_a_cycle = [client]
    client_in_a_cycle.append(client_in_a_cycle)
    del client, client_in_a_cycle
    gc.collect()
    assert pool.get_status()["used"] == 0
    handle = weakref.ref(pool)
    del pool
    gc.collect()
    assert handle() is None


LATE = """
import gc, sys
from phantomdb.pool import PhantomDBConnectionPool
from phantomdb.client import PhantomDB

said = []

class Client(PhantomDB):
    def __del__(self):
        # The pool may be gone, or closed, or still be there.
        for call in (self.health_check, self.close, lambda: self.set_owner("x"), self.interrupt):
            try:
                call()
            except Exception as error:
                said.append(type(error).__name__)

class Pool(PhantomDBConnectionPool):
    _client_type = Client
    def __del__(self):
        calls = [self.get_status, self.try_acquire, self.acquire, self.close, self.close]
        for call in [lambda: self.release(self.client), *calls]:
            try:
                call()
            except Exception as error:
                said.append(type(error).__name__)

for _ in range(5):
    pool = Pool("http://127.0.0.1:9", acquire_timeout=0.01, close_timeout=0)
    pool.client = pool.acquire()
    pool.held = [pool.acquire(), pool]
    del pool
    gc.collect()
# One whose __del__ gives it a new life, and another end.
kept = []
class Again(Pool):
    def __del__(self):
        if not kept:
            kept.append(self)
pool = Again("http://127.0.0.1:9", acquire_timeout=0.01, close_timeout=0)
pool.itself = pool
del pool
gc.collect()
assert kept[0].get_status()["used"] == 0
kept[0].client = kept[0].acquire()
del kept[0].itself
kept.clear()
gc.collect()
print("alive")
"""


def test_calls_from_a_del_do_no_harm():
    assert run_python(f"import warnings\nwarnings.simplefilter('ignore')\n{LATE}") == "alive\n"


@pytest.mark.filterwarnings("ignore:a client of:ResourceWarning")
def test_a_pool_in_a_circle_through_its_client_is_collected(url):
    pool = create_pool(url, log=print)
    pool.client = pool.acquire()
    pool.client.list_databases()
    known = weakref.ref(pool)
    del pool
    gc.collect()
    assert known() is None
    tasks_pool = aio.create_pool(NOBODY)
    tasks_pool.client = tasks_pool.try_acquire()
    known = weakref.ref(tasks_pool)
    del tasks_pool
    gc.collect()
    assert known() is None


def test_a_class_of_clients_that_leads_back_to_its_pool_is_collected():
    def make():
        class Client(PhantomDB):
            pass

        class Pool(PhantomDBConnectionPool):
            _client_type = Client

        pool = Client.pool_of_all = Pool(NOBODY)
        return weakref.ref(pool), weakref.ref(Client)

    known = make()
    gc.collect()
    assert [it() for it in known] == [None, None]


def test_the_collector_sees_what_ours_refer_to():
    pool = create_pool(NOBODY)
    client = pool.acquire()
    for it in (pool, client, _native.CompletionQueue(), _native.Pool(), _native.Connection()):
        assert gc.is_tracked(it)
        referents = gc.get_referents(it)
        # From 3.9 on, objects refer to a type that was made at run time.
        assert type(it) in referents
        assert all(not isinstance(each, types.FrameType) for each in referents)
    assert PhantomDB in gc.get_referents(pool)
    assert pool in gc.get_referents(client)
    assert pool in gc.get_referrers(PhantomDB)
    pool.release(client)
    pool.close()


def test_a_queue_is_collected_with_the_receivers_of_its_calls():
    class Receiver:
        set_result = set_exception = None

    pool = create_pool(NOBODY, 1, 1)
    client = pool.acquire()
    queue, receiver = _native.CompletionQueue(), Receiver()
    queue.acquire(receiver, pool, None, None)
    receiver.queue = queue
    assert len(queue) == 1
    assert {id(receiver), id(pool)} <= set(map(id, gc.get_referents(queue)))
    known = weakref.ref(receiver)
    del queue, receiver
    gc.collect()
    assert known() is None
    # Its outcome has nowhere to go, and goes back.
    pool.release(client)
    while pool.status()["used"] or pool.status()["pending"]:
        time.sleep(0.001)
    pool.close()


def test_every_type_of_ours_takes_part_in_garbage_collection():
    heap_type, has_gc = 1 << 9, 1 << 14
    found = [it for it in vars(_native).values() if inspect.isclass(it)]
    assert len(found) == 3
    for it in found:
        assert it.__flags__ & heap_type
        assert it.__flags__ & has_gc


def test_references_are_counted_right():
    pool = create_pool(NOBODY)
    for _ in range(3):
        before = sys.getrefcount(pool), sys.getrefcount(PhantomDB)
        for _ in range(10):
            client = pool.acquire()
            client.close()
            with pytest.raises(phantomdb.InvalidHandleError):
                client.interrupt()
            for it in (client, pool):
                with pytest.raises(TypeError):
                    it.__init__(NOBODY)
            del client, it
        gc.collect()
        after = sys.getrefcount(pool), sys.getrefcount(PhantomDB)
    assert before == after
    pool.close()
