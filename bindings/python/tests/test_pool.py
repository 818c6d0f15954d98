"""Pools: options, acquire and release, statistics, errors, threads."""

import logging
import pickle
import sys
import threading
import time
import warnings

import pytest

import phantomdb
from conftest import NOBODY, run_in_threads
from phantomdb.pool import PhantomDB, PhantomDBError, create_pool


def test_options_that_make_no_sense_are_refused_by_their_name():
    refused = [
        ({"max_connections": 0}, "max_connections: 0 is not between"),
        ({"min_connections": 11}, "min_connections: 11 is more than max_connections"),
        ({"max_connections": -1}, "max_connections: is out of range"),
        ({"max_connections": 2**64}, "max_connections: is out of range"),
        ({"acquire_timeout": -1}, "acquire_timeout: must be a time"),
        ({"acquire_timeout": 0}, "acquire_timeout: must be more than zero"),
        ({"acquire_timeout": float("nan")}, "acquire_timeout: must be a time"),
        ({"idle_timeout": float("inf")}, "idle_timeout: must be a time"),
        ({"validation": "maybe"}, "validation: must be one of 'socket', 'ping', 'none'"),
        ({"base_url": "ftp://x"}, "base_url:"),
        ({"token": "two words"}, "token:"),
        ({"tls_key_file": "key.pem"}, "tls_key_file: needs tls_cert_file"),
    ]
    for options, words in refused:
        with pytest.raises(phantomdb.InvalidArgumentError) as raised:
            create_pool(**options)
        assert str(raised.value).startswith(words), options
    mistyped = [
        ({"max_connections": 1.5}, "max_connections: must be int"),
        ({"max_connections": "5"}, "max_connections: must be int"),
        ({"acquire_timeout": "5"}, "acquire_timeout: must be a number of seconds"),
        ({"preconnect": 1}, "preconnect: must be bool"),
        ({"validation": 1}, "validation: must be str"),
        ({"base_url": 7}, "base_url: must be str"),
        ({"log": "print"}, "log: must be callable"),
        ({"max_connection": 5}, "max_connection"),
    ]
    for options, words in mistyped:
        with pytest.raises(TypeError, match=words):
            create_pool(**options)


def test_every_option_reaches_the_library(make_pool, tmp_path):
    times = {"max_lifetime": 1, "validate_after": 0.5, "validation_timeout": 1, "leak_threshold": 5}
    times.update(request_timeout=5, connect_timeout=1.5, close_timeout=0)
    counts = {"max_waiters": 0, "max_connecting": 1, "max_response_bytes": 1000}
    make_pool(validation="ping", preconnect=False, token="x", **times, **counts)
    # None is the default, and a time is rounded up: a thousandth of a millisecond is not "never".
    make_pool(token=None, idle_timeout=1e-6, max_lifetime=None, log=None)
    with pytest.raises(phantomdb.InvalidArgumentError, match=r"tls_ca_file: .*none.pem"):
        create_pool("https://localhost", tls_ca_file=tmp_path / "none.pem")


def test_acquire_and_release(url, make_pool):
    pool = make_pool(url, max_connections=2)
    first = pool.acquire()
    assert isinstance(first, PhantomDB)
    assert first.pool is pool
    assert pool.get_status() == {"available": 1, "used": 1, "min": 2, "max": 2}
    second = pool.acquire(timeout=1, owner="me")
    with pytest.raises(phantomdb.WouldBlockError):
        pool.try_acquire()
    assert first.is_released is False
    pool.release(first)
    assert first.is_released is True
    third = pool.try_acquire(owner="you")
    third.set_owner("somebody else")
    pool.discard(third)
    pool.release(second)
    assert pool.status()["used"] == 0


def test_a_client_is_gone_with_its_release(url, make_pool):
    pool, other = make_pool(url), make_pool(url)
    client = pool.acquire()
    with pytest.raises(phantomdb.InvalidHandleError, match="another pool"):
        other.release(client)
    with pytest.raises(TypeError, match="connection: must be a client"):
        pool.release(None)
    pool.release(client)
    gone = [
        lambda: pool.release(client),
        lambda: pool.discard(client),
        client.list_databases,
        client.interrupt,
        lambda: client.set_owner("x"),
        lambda: client.request("GET", "/"),
        client.begin_transaction,
    ]
    for call in gone:
        with pytest.raises(phantomdb.InvalidHandleError, match="released already"):
            call()
    client.close()
    assert (pool.status()["used"], other.status()["used"]) == (0, 0)


def test_with(url, make_pool):
    pool = make_pool(url)
    with pool.connection(timeout=1, owner="me") as client:
        assert pool.status()["used"] == 1
    assert client.is_released
    with pool.acquire() as client:
        pool.release(client)
    with pytest.raises(RuntimeError, match="mine"), pool.connection():
        raise RuntimeError("mine")
    with pool.connection() as client:
        client.close()
    assert pool.status()["used"] == 0
    with create_pool(url) as pool:
        pool.health_check()
    with pytest.raises(phantomdb.ClosedError):
        pool.acquire()


def test_waiters_are_served_in_their_order(url, make_pool):
    pool = make_pool(url, 1, 1)
    client = pool.acquire()
    order = []

    def wait(number):
        with pool.connection():
            order.append(number)

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(5)]
    for number, thread in enumerate(threads):
        thread.start()
        while pool.status()["pending"] != number + 1:
            time.sleep(0.001)
    pool.release(client)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]
    acquires = pool.stats()["acquires"]
    assert (acquires["direct"], acquires["waited"], sum(acquires.values())) == (1, 5, 6)


def test_a_release_lets_the_waiter_run_that_it_serves(url, make_pool):
    pool = make_pool(url, 1, 1)
    client = pool.acquire()
    client.list_databases()
    interval = sys.getswitchinterval()
    deadline = time.monotonic() + 60
    served = []
    while not served:
        assert time.monotonic() < deadline
        taken = []
        thread = threading.Thread(target=lambda: taken.append(pool.acquire()))  # noqa: B023
        thread.start()
        while pool.status()["pending"] == 0:
            time.sleep(0.001)
        # From here on the waiter runs only if the release lets it; the system may prefer this
        # thread now and then, but not always.
        sys.setswitchinterval(1000)
        pool.release(client)
        served = list(taken)
        sys.setswitchinterval(interval)
        thread.join()
        [client] = taken
    pool.release(client)


def test_a_time_out_says_so(make_pool):
    pool = make_pool(NOBODY, 1, 1, acquire_timeout=0.03)
    with pool.connection():
        for timeout in (None, 0, 0.01):
            started = time.monotonic()
            with pytest.raises(phantomdb.TimeoutError, match=r"Timeout .*1 of 1") as raised:
                pool.acquire(timeout)
            assert isinstance(raised.value, TimeoutError)
            assert isinstance(raised.value, PhantomDBError)
            assert raised.value.code == "TIMEOUT"
            assert raised.value.retriable is True
            assert time.monotonic() - started >= (0.03 if timeout is None else timeout)
        with pytest.raises(TypeError, match="timeout: must be a number"):
            pool.acquire("long")
        with pytest.raises(phantomdb.InvalidArgumentError, match="timeout: must be a time"):
            pool.acquire(-1)


def test_a_closed_pool_says_so(url):
    pool = create_pool(url, 1, 1)
    client = pool.acquire()
    raised = []

    def wait():
        try:
            pool.acquire()
        except phantomdb.ClosedError as error:
            raised.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while pool.status()["pending"] == 0:
        time.sleep(0.001)
    closing = threading.Thread(target=pool.close)
    closing.start()
    waiting.join()
    assert "closed" in str(raised[0])
    pool.close(timeout=0)
    closing.join()
    pool.close()
    # It was cut; to release it is right nevertheless, and does nothing.
    pool.release(client)
    with pytest.raises(phantomdb.InvalidHandleError):
        pool.release(client)
    calls = [pool.acquire, pool.try_acquire, pool.get_status, pool.status, pool.stats, pool.reset]
    calls += [pool.metrics, pool.health_check, lambda: pool.resize(1, 2)]
    for call in [*calls, lambda: pool.set_token("x"), lambda: pool.request("GET", "/")]:
        with pytest.raises(phantomdb.ClosedError, match="closed"):
            call()


def test_a_release_in_finally_does_not_hide_what_was_raised(url):
    pool = create_pool(url)
    client = pool.acquire()
    pool.close(0)
    with pytest.raises(phantomdb.ClosedError, match="closed"):
        try:
            client.health_check()
        finally:
            pool.release(client)


def test_a_second_request_on_a_client_is_refused_while_one_is_in_flight(holding, make_pool):
    pool = make_pool(holding.url)
    with pool.connection() as client:
        thread = threading.Thread(target=client.health_check)
        thread.start()
        holding.holds(1)
        with pytest.raises(phantomdb.BusyError):
            client.list_databases()
        refused = []

        def another(_):
            with pytest.raises(phantomdb.BusyError) as raised:
                client.list_databases()
            refused.append(raised.value)

        run_in_threads(1, another)
        assert len(refused) == 1
        holding.release()
        thread.join()


def test_interrupt_cuts_a_request(holding, make_pool):
    pool = make_pool(holding.url)
    with pool.connection() as client:
        client.interrupt()

        def cut(number):
            if number == 0:
                with pytest.raises(phantomdb.CancelledError):
                    client.health_check()
            else:
                holding.holds(1)
                client.interrupt()

        run_in_threads(2, cut)
        holding.release(2)
        assert client.health_check() == {"status": "healthy"}


def test_a_server_that_can_not_be_reached_is_named(make_pool):
    pool = make_pool(NOBODY, min_connections=0)
    with pytest.raises(phantomdb.UnavailableError, match="127.0.0.1:9") as raised:
        pool.acquire()
    assert isinstance(raised.value, ConnectionError)
    assert raised.value.retriable is True
    assert raised.value.status is None
    with pytest.raises(phantomdb.UnavailableError) as raised:
        pool.acquire()
    assert raised.value.retry_after is None or 0 < raised.value.retry_after < 10


def test_what_the_server_refuses_has_its_status(serve, make_pool):
    def response(handler):
        status = int(handler.path.split("/")[2])
        return status, {"code": "X", "message": f"refused {status}"}

    pool = make_pool(serve(response), token="hush-hush")
    for status in (400, 401, 403, 404, 409, 500):
        with pytest.raises(phantomdb.HTTPError, match=f"refused {status}") as raised:
            pool.request("GET", f"/x/{status}")
        assert raised.value.status == status
        is_unauthorized = status in (401, 403)
        assert isinstance(raised.value, phantomdb.UnauthorizedError) == is_unauthorized
        assert raised.value.code == ("UNAUTHORIZED" if is_unauthorized else "HTTP")
        assert "hush-hush" not in str(raised.value)
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (type(copy), str(copy), vars(copy)) == (
        phantomdb.HTTPError,
        str(raised.value),
        vars(raised.value),
    )


def test_broken_responses(serve, make_pool):
    pool = make_pool(serve(lambda _: (200, b"{broken")), max_response_bytes=20)
    with pytest.raises(phantomdb.ProtocolError):
        pool.health_check()
    large = make_pool(serve(lambda _: (200, {"status": "x" * 100})), max_response_bytes=50)
    with pytest.raises(phantomdb.TooLargeError, match="max_response_bytes"):
        large.health_check()


def test_the_token_as_it_is_at_each_request(serve, make_pool):
    seen = []

    def response(handler):
        seen.append(handler.headers.get("authorization"))
        return 200, {}

    pool = make_pool(serve(response), token="one")
    pool.health_check()
    pool.set_token("two")
    pool.health_check()
    pool.set_token(None)
    pool.health_check()
    assert seen == ["Bearer one", "Bearer two", None]
    with pytest.raises(phantomdb.InvalidArgumentError, match="token"):
        pool.set_token("two words")
    with pytest.raises(TypeError, match="token: must be str"):
        pool.set_token(7)


def test_statistics_reset_and_resize(url, make_pool):
    pool = make_pool(url, max_connections=3)
    for _ in range(5):
        pool.health_check()
    assert pool.stats()["acquires"]["direct"] == 5
    assert "# EOF" in pool.metrics()
    assert set(pool.status()) == {"available", "used", "pending", "total", "min", "max"}
    pool.reset()
    pool.resize(0, 1)
    assert (pool.status()["min"], pool.status()["max"]) == (0, 1)
    pool.resize(min_connections=1, max_connections=4)
    assert (pool.status()["min"], pool.status()["max"]) == (1, 4)
    with pytest.raises(phantomdb.InvalidArgumentError, match="min_connections: 2 is more"):
        pool.resize(2, 1)
    with pytest.raises(TypeError, match="max_connections: must be int"):
        pool.resize(0, 1.0)
    assert pool.health_check()["status"] == "healthy"


def test_leaks_and_outages_are_told_to_the_log(url, make_pool):
    told = []
    heard = threading.Condition()

    def log(level, message):
        with heard:
            told.append((level, message))
            heard.notify_all()

    def hears(words):
        with heard:
            assert heard.wait_for(lambda: any(words in message for _, message in told), 20)

    unreachable = make_pool(NOBODY, min_connections=0, log=log)
    with pytest.raises(phantomdb.UnavailableError):
        unreachable.health_check()
    hears("can't be reached")
    leaky = make_pool(url, leak_threshold=0.02, log=log)
    with leaky.connection(owner="the forgetful"):
        hears("by `the forgetful`")
    assert {level for level, _ in told} <= {logging.WARNING, logging.INFO}
    assert told[0][0] == logging.WARNING


def test_nothing_may_wait_in_the_log(url, make_pool):
    outcome = []
    done = threading.Event()

    def log(level, message):
        try:
            pool.acquire()
        except PhantomDBError as error:
            outcome.append(error)
        done.set()

    pool = make_pool(url, 1, 1, leak_threshold=0.02, log=log)
    with pool.connection():
        assert done.wait(20)
    assert isinstance(outcome[0], phantomdb.WouldDeadlockError)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_log_that_raises_is_reported(url, make_pool):
    done = threading.Event()

    def log(level, message):
        done.set()
        raise RuntimeError("mine")

    pool = make_pool(url, leak_threshold=0.02, log=log)
    with pool.connection():
        assert done.wait(20)
    assert pool.health_check()["status"] == "healthy"


def test_a_client_that_is_collected_is_released_with_a_warning(url, make_pool):
    pool = make_pool(url)
    client = pool.acquire()
    assert pool.status()["used"] == 1
    with pytest.warns(ResourceWarning, match=r"a client of <phantomdb.pool.*> was never released"):
        del client
    assert pool.status()["used"] == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client = pool.acquire()
        pool.release(client)
        del client


def test_threads_share_a_pool(url, make_pool):
    pool = make_pool(url, max_connections=4)
    pool.create_database("shared")
    pool.create_table("shared", "t", [{"name": "n", "type": "integer", "primaryKey": True}])

    def work(number):
        for i in range(20):
            with pool.connection() as client:
                client.insert("shared", "t", {"n": number * 100 + i})
            assert pool.status()["total"] <= 4

    run_in_threads(16, work)
    assert pool.query("shared", "SELECT count(*) AS n FROM t")["rows"] == [{"n": 320}]
    pool.drop_database("shared")


def test_rule_22_an_acquire_whose_time_has_ended_already_counts_once(make_pool):
    pool = make_pool(NOBODY, 1, 1)
    client = pool.acquire(0)
    for timeout in (0, 0.0, 1e-9):
        with pytest.raises(TimeoutError):
            pool.acquire(timeout)
    counted = pool.stats()["acquires"]
    assert (counted.pop("direct"), counted.pop("timed_out")) == (1, 3)
    assert set(counted.values()) == {0}
    pool.release(client)
