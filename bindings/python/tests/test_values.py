"""What values become on their way in and out, whatever a server sends."""

import asyncio
import decimal
import json
import resource
import sys
import time

import pytest

import phantomdb
from conftest import run_python
from phantomdb import aio
from phantomdb.pool import create_pool

FORMS = ["threads", "tasks"]


@pytest.fixture(params=FORMS)
def ask(request, serve, make_pool):
    """Give a function that has a server send a body, and tells what a call makes of it."""

    def asked(body, call):
        url = serve(lambda _: (200, body if isinstance(body, bytes) else body.encode()))
        if request.param == "threads":
            return call(make_pool(url))

        async def in_loop():
            async with aio.create_pool(url) as pool:
                return await call(pool)

        return asyncio.run(in_loop())

    return asked


def query(pool):
    return pool.execute_query("d", "SELECT 1")


def select(pool):
    return pool.select("d", "t")


def raw(pool):
    return pool.request("GET", "/x")


def table(value):
    return f'{{"columns":["a"],"rows":[[{value}]]}}'


NUMBERS = {
    "0": 0,
    "-0": 0,
    "9007199254740993": 2**53 + 1,
    "9223372036854775807": 2**63 - 1,
    "-9223372036854775808": -(2**63),
    "9223372036854775808": 2**63,
    "18446744073709551615": 2**64 - 1,
    "-18446744073709551616": -(2**64),
    "7" * 4300: int("7" * 4300),
    "-" + "7" * 4300: -int("7" * 4300),
    "7" * 4301: decimal.Decimal("7" * 4301),
    "-" + "7" * 5000: decimal.Decimal("-" + "7" * 5000),
    "0.1": 0.1,
    "-0.0": -0.0,
    "1.0": 1.0,
    "1e3": 1000.0,
    "1e308": 1e308,
    "1e-400": 0.0,
    "1e400": decimal.Decimal("1e400"),
    "-1.5E+400": decimal.Decimal("-1.5E400"),
    "1e99999999999999999999999": "1e99999999999999999999999",
}


@pytest.mark.parametrize("digits", NUMBERS, ids=lambda it: f"{it[:30]} of {len(it)}")
def test_numbers_are_exact_in_every_shape(ask, digits):
    expected = NUMBERS[digits]
    shapes = [
        (table(digits), query, lambda it: it["rows"][0]["a"]),
        (f'{{"records":[{{"a":{digits}}}]}}', query, lambda it: it["rows"][0]["a"]),
        (f'{{"records":[{{"a":{digits}}}]}}', select, lambda it: it[0]["a"]),
        (f'{{"records":[{{"a":[{{"b":{digits}}}]}}]}}', select, lambda it: it[0]["a"][0]["b"]),
        (f'{{"x":[{digits}]}}', raw, lambda it: it["x"][0]),
        (digits, raw, lambda it: it),
        (f'{{"count":1,"x":{digits}}}', lambda it: it.insert("d", "t", {}), lambda it: it["x"]),
    ]
    for body, call, find in shapes:
        found = find(ask(body, call))
        assert type(found) is type(expected), body[:100]
        assert found == expected
        assert str(found) == str(expected)


def test_a_lower_limit_of_digits_changes_no_failure(serve, make_pool):
    if not hasattr(sys, "set_int_max_str_digits"):
        pytest.skip("this Python has no limit")
    pool = make_pool(serve(lambda _: (200, table("7" * 2000).encode())))
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        found = query(pool)["rows"][0]["a"]
    finally:
        sys.set_int_max_str_digits(before)
    assert found == decimal.Decimal("7" * 2000)


def test_a_context_of_decimals_that_forgives_everything_makes_nothing_wrong(serve, make_pool):
    pool = make_pool(serve(lambda _: (200, table("1e999999999999999999999").encode())))
    context = decimal.Context(prec=1, Emax=1, Emin=-1, traps=[])
    with decimal.localcontext(context):
        assert query(pool)["rows"] == [{"a": "1e999999999999999999999"}]
    pool = make_pool(serve(lambda _: (200, table("9" * 5000).encode())))
    with decimal.localcontext(context):
        found = query(pool)["rows"][0]["a"]
    assert found == decimal.Decimal("9" * 5000)


def test_texts_and_other_values(ask):
    row = r'[null,true,false,"","\u0000\ud83d\ude00\"\\",{}]'
    body = f'{{"columns":["n","t","f","s","e","j"],"rows":[{row}]}}'
    assert ask(body, query)["rows"] == [
        {"n": None, "t": True, "f": False, "s": "", "e": '\0😀"\\', "j": {}}
    ]
    names = json.dumps({"databases": ["a", {"name": "b"}, "\u00e4\n"]})
    assert ask(names, lambda it: it.list_databases()) == ["a", "b", "ä\n"]


def test_a_lone_surrogate_is_replaced_and_nothing_else_is_lost(ask):
    body = r'{"columns":["\udc00x","b"],"rows":[["a\ud800","whole"],["\ud83d\ude00",["\udfff"]]]}'
    result = ask(body, query)
    assert result["columns"] == ["\ufffdx", "b"]
    assert result["rows"] == [
        {"\ufffdx": "a\ufffd", "b": "whole"},
        {"\ufffdx": "😀", "b": ["\ufffd"]},
    ]
    assert ask(r'{"\ud800":"\ud800"}', raw) == {"\ufffd": "\ufffd"}


def test_rows_with_ever_other_columns_are_a_table(ask):
    # Legal, although rows times columns is more than the bytes of the response.
    rows = [{f"c{(row * 7 + it) % 30}": row for it in range(2)} for row in range(200)]
    for call, find in ((query, lambda it: it["records"]), (select, lambda it: it)):
        assert find(ask(json.dumps({"records": rows}), call)) == rows
    sparse = {"columns": ["a", "b"], "rows": [[1], [], [1, 2], []]}
    result = ask(json.dumps(sparse), query)
    assert result["rows"] == [{"a": 1}, {}, {"a": 1, "b": 2}, {}]
    assert result["rowCount"] == 4
    assert result["rows"] is result["results"]
    assert result["rows"] is result["records"]


def test_columns_of_one_name_and_names_that_mean_something_to_python(ask):
    body = '{"columns":["a","a","__class__","__dict__"],"rows":[[1,2,3,4]]}'
    assert ask(body, query)["rows"] == [{"a": 2, "__class__": 3, "__dict__": 4}]
    assert ask('{"x":1,"x":{"y":2},"x":[3]}', raw) == {"x": [3]}


NO_TABLE = [
    '{"columns":["a"],"rows":[[1,2]]}',
    '{"columns":["a"],"rows":[null]}',
    '{"columns":["a"],"rows":[1,2]}',
    '{"columns":["a","b"],"rows":[[1],{"z":3}]}',
    '{"records":[{"a":1},2]}',
    '{"records":[{"a":1},[2]]}',
    '{"records":5}',
    "[1,2]",
    '{"rows":[[1,2]]}',
]


@pytest.mark.parametrize("body", NO_TABLE)
def test_what_is_no_table_is_a_protocol_error(ask, body):
    with pytest.raises(phantomdb.ProtocolError):
        ask(body, query)


def test_counts_are_what_the_server_said(ask):
    body = '{"columns":[],"rows":[],"rowCount":7,"affected_rows":3}'
    result = ask(body, query)
    assert (result["rowCount"], result["affectedRows"], result["affected_rows"]) == (7, 3, 3)
    result = ask('{"columns":["a"],"rows":[[1]]}', query)
    assert (result["rowCount"], result["affectedRows"]) == (1, None)
    # As the public SDK's users ask for it.
    assert result.get("affected_rows", 0) == 0


@pytest.mark.parametrize("depth", [100, 200, 100_000])
def test_deep_nesting_is_read_or_refused_and_never_overflows(ask, depth):
    nested = "[" * depth + "]" * depth
    for body, call in ((table(nested), query), (f'{{"records":[{{"a":{nested}}}]}}', select)):
        try:
            result = ask(body, call)
        except phantomdb.ProtocolError:
            assert depth > 100
            continue
        found = (result["rows"] if isinstance(result, dict) else result)[0]["a"]
        assert depth == 100
        for _ in range(depth - 1):
            [found] = found
    try:
        found = ask(nested, raw)
    except phantomdb.ProtocolError:
        assert depth > 100
    else:
        assert depth == 100 or found == nested


def test_many_escapes_and_long_strings_in_nested_values(ask):
    long = "ä\n" * 40_000
    value = {"many": ["\t\u0001\u20ac"] * 5000, "long": long, "\n": [long, ""]}
    # As escapes, every character of it.
    text = json.dumps(value)
    assert ask(text, raw) == value
    assert ask(f'{{"records":[{{"a":{text}}},{{"a":{text}}}]}}', select) == [{"a": value}] * 2


def test_a_response_that_is_not_json_is_a_text(serve, make_pool):
    for text in ("ok", "12[345]", '{"a":', "# HELP x\nx 1\n"):
        assert raw(make_pool(serve(lambda _, text=text: (200, text)))) == text
        pool = make_pool(serve(lambda _, text=text: (200, text.encode())))
        with pytest.raises(phantomdb.ProtocolError):
            raw(pool)
    assert raw(make_pool(serve(lambda _: (200, b"")))) == {}


def test_numbers_of_5000_digits_are_refused_by_name(serve, make_pool):
    pool = make_pool(serve(lambda _: (200, {})))
    huge = 10**5000
    calls = {
        "row": lambda: pool.insert("d", "t", {"n": huge}),
        "parameters": lambda: pool.execute_query("d", "SELECT ?", [huge]),
        "timeout": lambda: pool.acquire(huge),
        "max_connections": lambda: pool.resize(1, huge),
        "min_connections": lambda: pool.resize(-huge, 1),
        "idle_timeout": lambda: create_pool(idle_timeout=huge),
        "max_response_bytes": lambda: create_pool(max_response_bytes=huge),
    }
    for name, call in calls.items():
        if name in ("row", "parameters") and not hasattr(sys, "set_int_max_str_digits"):
            continue
        with pytest.raises(phantomdb.InvalidArgumentError, match=f"^{name}: "):
            call()
    assert pool.get_status()["used"] == 0


@pytest.mark.parametrize(
    "row", [{f"column {number}": number for number in range(20)}, {"a": [1, {"b": None}]}]
)
def test_large_tables_take_linear_time(serve, make_pool, row):
    sizes = [1000, 4000]
    seconds = []
    for size in sizes:
        body = json.dumps({"records": [row] * size}).encode()
        pool = make_pool(serve(lambda _, body=body: (200, body)))
        best = float("inf")
        for _ in range(3):
            started = time.process_time()
            assert pool.select("d", "t") == [row] * size
            best = min(best, time.process_time() - started)
        seconds.append(best)
    assert seconds[1] < 12 * seconds[0] + 0.05, seconds


DENSE = """
import resource, sys
from phantomdb.pool import create_pool
pool = create_pool(sys.argv[1], 1, 1)
pool.request("GET", "/small")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = pool.execute_query("d", "SELECT 1")
assert len(result["rows"]) == 6000 and len(result["columns"]) == 6000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_many_columns_of_many_empty_rows_take_little_memory(serve):
    body = json.dumps({"columns": [f"c{it}" for it in range(6000)], "rows": [[]] * 6000}).encode()
    url = serve(lambda it: (200, b"{}" if it.path == "/small" else body))
    # 60 KB; an empty dict takes 64 bytes.
    assert int(run_python(DENSE, url)) < 8000


REFUSED = {
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": [{"x": (1, float("-inf"))}],
}


@pytest.mark.parametrize("kind", ["insert", "update", "parameters", "body", "columns"])
def test_what_json_can_not_say_is_refused_by_name(serve, make_pool, kind):
    asked = []
    pool = make_pool(serve(lambda it: asked.append(it.path) or (200, {})))
    circle = []
    circle.append(circle)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    values = {
        **REFUSED,
        "circular": circle,
        "nested too deeply": deep,
        "not JSON serializable": object(),
    }
    calls = {
        "insert": ("row", lambda it: pool.insert(database="d", table="t", data={"a": it})),
        "update": ("data", lambda it: pool.update("d", "t", {"a": it}, "1=1")),
        "parameters": ("parameters", lambda it: pool.execute_query("d", "SELECT ?", [it])),
        "body": ("body", lambda it: pool.request("POST", "/x", {"a": it})),
        "columns": ("columns", lambda it: pool.create_table("d", "t", [{"name": "n", "type": it}])),
    }
    name, call = calls[kind]
    for words, value in values.items():
        expected = "NaN and Infinity are not JSON" if words in REFUSED else f"(?i){words}"
        with pytest.raises(phantomdb.InvalidArgumentError, match=expected) as raised:
            call(value)
        assert str(raised.value).startswith(f"{name}: ")
    for value in ("\ud800", ["a\udfff"], {"\ud800": 1}):
        with pytest.raises(phantomdb.InvalidArgumentError, match="Unicode") as raised:
            call(value)
        assert str(raised.value).startswith(f"{name}: ")
    assert asked == []
    while deep:
        deep = deep[0]


@pytest.mark.parametrize("column", [None, True, 1, 1.5], ids=repr)
def test_a_column_whose_name_is_not_a_str_is_refused(serve, make_pool, column):
    asked = []
    pool = make_pool(serve(lambda it: asked.append(it.path) or (200, {})))
    with pytest.raises(phantomdb.InvalidArgumentError, match="row: the name of a column must be"):
        pool.insert("d", "t", {"a": 1, column: 2})
    with pytest.raises(phantomdb.InvalidArgumentError, match="data: the name of a column must be"):
        pool.update("d", "t", {column: 2})
    assert asked == []
    pool.insert("d", "t", {"a": {column: 2} if column else {}})
    assert len(asked) == 1


def test_a_lone_surrogate_in_a_name_or_statement_is_refused_before_anything_is_sent(
    serve, make_pool
):
    asked = []
    pool = make_pool(serve(lambda it: asked.append(it.path) or (200, {})))
    for name, call in {
        "database": lambda it: pool.drop_database(it),
        "table": lambda it: pool.drop_table("d", it),
        "name": lambda it: pool.create_database(it),
        "condition": lambda it: pool.delete("d", "t", it),
        "sql": lambda it: pool.execute_query("d", it),
        "path": lambda it: pool.request("GET", f"/{it}"),
        "method": lambda it: pool.request(it, "/"),
        "owner": lambda it: pool.acquire(owner=it),
        "token": lambda it: pool.set_token(it),
        "base_url": lambda it: create_pool(f"http://{it}"),
    }.items():
        for text in ("a\ud800", "\udfffb"):
            with pytest.raises(phantomdb.InvalidArgumentError, match=f"^{name}: .*Unicode"):
                call(text)
    assert asked == []
    assert pool.get_status()["used"] == 0


SHORT_OF_MEMORY = """
import gc, resource, sys
import phantomdb
from phantomdb.pool import create_pool

pool = create_pool(sys.argv[1], 1, 2, max_response_bytes=1 << 30)
body = sys.argv[2]
pool.request("GET", "/small")

def used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()

outcomes = []
for room in (8, 24, 60, 100, 200):
    gc.collect()
    limit = used() + (room << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        rows = pool.select("d", "t")
        outcomes.append("read")
        del rows
    except (MemoryError, phantomdb.TooLargeError) as error:
        outcomes.append("short")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    # Nothing is lost, and the pool serves on.
    assert pool.get_status()["used"] == 0
    assert pool.request("GET", "/small") == {}
assert len(pool.select("d", "t")) == 100_000
print(outcomes[0], pool.status()["pending"])
pool.close()
"""


def test_without_memory_a_call_raises_and_nothing_is_lost(serve):
    row = {"name": "x" * 100, "value": 1.5, "list": [1, 2, 3]}
    body = json.dumps({"records": [row] * 100_000}).encode()
    url = serve(lambda it: (200, b"{}" if it.path == "/small" else body))
    assert run_python(SHORT_OF_MEMORY, url, "") == "short 0\n"
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


FAILING = """
import asyncio, sys
try:
    import _testcapi
    _testcapi.set_nomemory
except (ImportError, AttributeError):
    print("whole")
    sys.exit()
import phantomdb
from phantomdb import aio
from phantomdb.pool import create_pool

pool = create_pool(sys.argv[1], 1, 1, acquire_timeout=20)

def calls():
    client = pool.acquire(5, owner="me")
    try:
        client.select("d", "t")
        client.execute_query("d", "SELECT 1")
        client.request("GET", "/databases")
        client.list_tables("d")
        pool.get_status(), pool.stats()
    finally:
        client.close()

calls()
ended = 0
for number in range(400):
    try:
        _testcapi.set_nomemory(number, number + 1)
        calls()
        ended += 1
    except MemoryError:
        pass
    finally:
        _testcapi.remove_mem_hooks()
    client = error = None
    assert pool.status()["used"] == 0, number
    assert pool.status()["pending"] == 0, number
calls()
assert 10 < ended < 400, ended

# What a loop is told comes whole, late, or as a MemoryError, but it comes, and once.
import select
from phantomdb import _native
queue = _native.CompletionQueue()
SELECT = {name: number for number, name, *_ in _native.operations}["select"]
rows = pool.select("d", "t")

class Receiver:
    def __init__(self):
        self.told = []
        self.set_result = self.set_exception = self.told.append

late = errors = 0
for number in range(60):
    receivers = [Receiver(), Receiver()]
    for receiver in receivers:
        queue.run(receiver, pool, SELECT, "d", "t", None)
    assert len(queue) == 2
    while not all(receiver.told for receiver in receivers):
        assert select.select([queue], [], [], 20)[0], number
        try:
            _testcapi.set_nomemory(number, number + 1 + number % 3)
            queue.take()
        except MemoryError:
            late += 1
        finally:
            _testcapi.remove_mem_hooks()
    assert len(queue) == len(queue.take()) == 0
    for receiver in receivers:
        [value] = receiver.told
        errors += isinstance(value, MemoryError)
        assert isinstance(value, MemoryError) or value == rows
assert late and errors, (late, errors)

# A connection for whose client there is no memory goes back to its pool.
refused = 0
for number in range(20):
    held, receiver = pool.acquire(), Receiver()
    queue.acquire(receiver, pool, 20, None)
    held.close()
    assert select.select([queue], [], [], 20)[0], number
    try:
        _testcapi.set_nomemory(number, number + 1)
        queue.take()
    except MemoryError:
        pass
    finally:
        _testcapi.remove_mem_hooks()
    queue.take()
    [value] = receiver.told
    if isinstance(value, MemoryError):
        refused += 1
    else:
        value.close()
    assert pool.status()["used"] == 0, number
assert refused
print("whole")
"""


@pytest.mark.filterwarnings("ignore")
def test_every_allocation_may_fail_and_nothing_is_lost(serve):
    body = json.dumps({"records": [{"a": [1, {"b": "\n"}], "c": 2**70}]}).encode()

    def response(it):
        if it.path == "/databases/d/tables":
            return 200, {"tables": ["t"]}
        return 200, body

    program = f"import warnings\nwarnings.simplefilter('ignore')\n{FAILING}"
    assert run_python(program, serve(response)) == "whole\n"


HALF_MADE = """
import sys, threading
from phantomdb.pool import create_pool
pool = create_pool(sys.argv[1], 1, 1)
# In how many parts of the making the other thread has run, told by what is allocated: by no clock,
# because the system may let a thread wait for as long as it likes.
PARTS = 20

def look(stop, seen):
    while not stop.is_set():
        seen.append(sys.getallocatedblocks())

def make():
    stop, seen = threading.Event(), []
    watcher = threading.Thread(target=look, args=(stop, seen))
    before = sys.getallocatedblocks()
    watcher.start()
    made = pool.CALL
    after = sys.getallocatedblocks()
    stop.set()
    watcher.join()
    return {(blocks - before) * PARTS // (after - before) for blocks in seen}

# On a busy machine the other thread may miss much of a result, but not of every one.
for tries in range(100):
    parts = make() & set(range(1, PARTS - 1))
    if len(parts) >= 14:
        break
print(tries, len(parts))
"""


@pytest.mark.parametrize("call", ["select('d', 't')", "request('GET', '/x')"])
def test_other_threads_run_while_a_large_result_becomes_objects(serve, call):
    row = {f"column {number}": number for number in range(10)}
    body = json.dumps({"records": [row] * 100_000}).encode()
    told = run_python(HALF_MADE.replace("CALL", call), serve(lambda _: (200, body)))
    tries, parts = map(int, told.split())
    assert parts >= 14, (tries, parts)
