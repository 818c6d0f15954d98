"""Several interpreters in one process, and several executions of our modules in one."""

import sys

import pytest

from conftest import run_python

#: Ways to run code in another interpreter.
INTERPRETERS = """
import os, sys

def legacy(code):
    import _testcapi
    assert _testcapi.run_in_subinterp(code) == 0

def new(code, *kind):
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    number = interpreters.create(*kind)
    try:
        failed = interpreters.run_string(number, code)
        assert failed is None, failed
    finally:
        interpreters.destroy(number)

def unchecked(code):
    # Python itself refuses the extension in an interpreter with a lock of its own, unless this.
    new("import _imp; _imp._override_multi_interp_extensions_check(-1)\\n" + code)

TRY = '''
import os
for _ in range(2):
    try:
        import phantomdb
        outcome = "imported"
    except ImportError as error:
        outcome = f"refused: {error}"
    os.write(FD, (outcome + "\\\\n").encode())
'''

def outcomes(way):
    read, write = os.pipe()
    way(TRY.replace("FD", str(write)))
    os.close(write)
    with os.fdopen(read) as file:
        return file.read().splitlines()
"""

WAYS = {"legacy": (3, 9), "new": (3, 9), "unchecked": (3, 12)}


@pytest.mark.parametrize("way", [it for it in WAYS if sys.version_info >= WAYS[it]])
@pytest.mark.parametrize("is_imported", [True, False])
def test_a_second_interpreter_can_not_import_it_and_the_first_stays_whole(url, way, is_imported):
    program = f"""{INTERPRETERS}
if {is_imported}:
    import phantomdb
for _ in range(2):
    for outcome in outcomes({way}):
        assert outcome.startswith("refused: "), outcome
        # Python's own words, where it checks before it lets the extension speak.
        own = "does not support loading in subinterpreters" in outcome
        assert own and {way!r} == "new" or "WSGIApplicationGroup %{{GLOBAL}}" in outcome, outcome
import phantomdb
with phantomdb.create_pool(sys.argv[1]) as pool:
    try:
        pool.list_tables("nothing")
    except phantomdb.HTTPError as error:
        assert error.status == 404
    try:
        pool.acquire(-1)
    except phantomdb.InvalidArgumentError:
        print("whole")
"""
    assert run_python(program, url) == "whole\n"


#: Raises an error of each kind of place, and catches it by every class that a program may hold.
CATCH = """
import asyncio, gc, importlib, sys
import phantomdb
import phantomdb.errors
from phantomdb import HTTPError, InvalidArgumentError, aio
from phantomdb.errors import HTTPError as other

first = phantomdb
url = sys.argv[1]
pool, tasks_pool = phantomdb.create_pool(url), aio.create_pool(url)

def check():
    import phantomdb
    classes = {first.HTTPError, HTTPError, other, phantomdb.HTTPError, phantomdb.errors.HTTPError}
    assert len(classes) == 1, classes
    from phantomdb import aio as new_aio
    pools = [pool, phantomdb.create_pool(url)]
    for it in pools:
        for kind in (first.HTTPError, HTTPError, phantomdb.HTTPError, phantomdb.PhantomDBError):
            try:
                it.list_tables("nothing")
            except kind as error:
                assert error.status == 404
            with it.connection() as client:
                try:
                    client.insert("d", "t", {"a": float("nan")})
                except first.InvalidArgumentError:
                    pass
    pools[1].close()

    async def in_loop():
        pools = [tasks_pool, new_aio.create_pool(url)]
        for it in pools:
            for kind in (first.HTTPError, HTTPError, phantomdb.HTTPError, first.PhantomDBError):
                try:
                    await it.list_tables("nothing")
                except kind as error:
                    assert error.status == 404
        await pools[1].close()
    asyncio.run(in_loop(), debug=False)

check()
CHANGE
check()
asyncio.run(tasks_pool.close(), debug=False)
pool.close()
print("caught")
"""

CHANGES = {
    "errors is reloaded": "importlib.reload(phantomdb.errors)",
    "the package is reloaded": "importlib.reload(phantomdb)",
    "every module is reloaded": """
for name in sorted(it for it in sys.modules if it.startswith('phantomdb')):
    importlib.reload(sys.modules[name])
""",
    "every module is reloaded, twice, the other way round": """
for _ in range(2):
    for name in sorted((it for it in sys.modules if it.startswith('phantomdb')), reverse=True):
        importlib.reload(sys.modules[name])
""",
    "all are forgotten and imported again": """
for _ in range(3):
    for name in [it for it in sys.modules if it.startswith('phantomdb')]:
        del sys.modules[name]
    gc.collect()
    import phantomdb, phantomdb.errors
    assert phantomdb is not first
""",
    "the extension alone is forgotten": """
del sys.modules['phantomdb._native']
importlib.reload(phantomdb.errors)
""",
    "errors alone is forgotten": """
del sys.modules['phantomdb.errors']
import phantomdb.errors
""",
}


@pytest.mark.parametrize("change", CHANGES)
def test_exceptions_are_caught_after(url, change):
    assert run_python(CATCH.replace("CHANGE", CHANGES[change]), url) == "caught\n"


COPIES = """
import asyncio, importlib, sys
import phantomdb
from phantomdb import aio

def copy():
    for name in [it for it in sys.modules if it.startswith('phantomdb')]:
        del sys.modules[name]
    from phantomdb import aio
    return aio

async def main():
    copies = [aio, copy(), copy()]
    assert len(set(map(id, copies))) == 3
    pools = [it.create_pool(sys.argv[1], max_connections=4) for it in copies]
    await pools[0].create_database("d")
    # A pool of one copy serves the functions of another, too.
    foreign = copies[1].Pool.execute_query

    async def ask(number):
        pool = pools[number % 3]
        sql = f"SELECT {number} AS n"
        response = await (foreign(pool, "d", sql) if number % 2 else pool.execute_query("d", sql))
        assert response["rows"] == [{"n": number}], (number, response)
        async with pool.connection() as client:
            response = await client.execute_query("d", sql)
            assert response["rows"] == [{"n": number}], (number, response)

    tasks = [asyncio.ensure_future(ask(number)) for number in range(300)]
    # A reload while calls are under way.
    await asyncio.sleep(0)
    importlib.reload(sys.modules["phantomdb._calls"])
    for name in ("phantomdb.aio", "phantomdb._operations", "phantomdb._options"):
        importlib.reload(sys.modules[name])
    await asyncio.wait_for(asyncio.gather(*tasks, *map(ask, range(60))), 60)
    # Calls that are cancelled are those of their copy.
    held = []
    for pool in pools:
        held.append([await pool.acquire() for _ in range(4)])
    waiting = [asyncio.ensure_future(pool.acquire()) for pool in pools for _ in range(3)]
    await asyncio.sleep(0)
    for task in waiting[::3]:
        task.cancel()
    for pool, clients in zip(pools, held):
        for client in clients:
            pool.release(client)
    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 60)
    for number, outcome in enumerate(outcomes):
        if number % 3 == 0:
            assert isinstance(outcome, asyncio.CancelledError), outcome
        else:
            assert outcome.pool is pools[number // 3]
            outcome.pool.release(outcome)
    for pool in pools:
        assert pool.status()["used"] == pool.status()["pending"] == 0
        await pool.close()
    print("each its own")

asyncio.run(main(), debug=False)
"""


def test_copies_of_the_modules_each_get_their_own_calls(url):
    assert run_python(COPIES, url) == "each its own\n"
