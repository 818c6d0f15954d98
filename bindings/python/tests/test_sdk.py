"""What users of the public SDK find: its names, its keywords, its attributes and its fields."""

import asyncio
import inspect

import pytest

import phantomdb
from conftest import NOBODY
from phantomdb import PhantomDB, PhantomDBError, aio, connect
from phantomdb.pool import PhantomDBConnectionPool, create_pool

#: Every method of the public SDK's client with the keywords that it takes, in their order.
CLIENT = {
    "health_check": [],
    "list_databases": [],
    "create_database": ["name"],
    "drop_database": ["name"],
    "list_tables": ["database"],
    "create_table": ["database", "name", "columns"],
    "drop_table": ["database", "name"],
    "insert": ["database", "table", "data"],
    "select": ["database", "table", "condition"],
    "update": ["database", "table", "data", "condition"],
    "delete": ["database", "table", "condition"],
    "execute_query": ["database", "query"],
    "begin_transaction": [],
    "commit_transaction": ["transaction_id"],
    "rollback_transaction": ["transaction_id"],
}
POOL = {"acquire": [], "release": ["connection"], "close": [], "get_status": []}
OPTIONS = ["base_url", "min_connections", "max_connections", "acquire_timeout", "idle_timeout"]


@pytest.mark.parametrize("kind", [PhantomDB, aio.PhantomDB])
def test_every_public_method_takes_the_public_keywords_first(kind):
    for name, keywords in CLIENT.items():
        given = list(inspect.signature(getattr(kind, name)).parameters)[1:]
        assert given[: len(keywords)] == keywords, name
        assert inspect.iscoroutinefunction(getattr(kind, name)) == (kind is aio.PhantomDB), name


@pytest.mark.parametrize("kind", [PhantomDBConnectionPool, aio.Pool])
def test_every_public_method_of_pools_is_there(kind):
    for name, keywords in POOL.items():
        given = list(inspect.signature(getattr(kind, name)).parameters)[1:]
        assert given[: len(keywords)] == keywords, name
    assert list(inspect.signature(create_pool).parameters)[:5] == OPTIONS


def by_keyword(client):
    """Use every public keyword; give what came of them, in both languages of Python."""
    columns = [{"name": "n", "type": "integer"}]
    yield client.create_database(name="by keyword")
    yield client.list_tables(database="by keyword")
    yield client.create_table(database="by keyword", name="t", columns=columns)
    yield client.insert(database="by keyword", table="t", data={"n": 1})
    yield client.update(database="by keyword", table="t", data={"n": 2}, condition="n = 1")
    yield client.select(database="by keyword", table="t", condition="n = 2")
    yield client.execute_query(database="by keyword", query="SELECT n FROM t")
    transaction = yield client.begin_transaction()
    yield client.rollback_transaction(transaction_id=transaction)
    transaction = yield client.begin_transaction()
    yield client.commit_transaction(transaction_id=transaction)
    yield client.delete(database="by keyword", table="t", condition="n = 2")
    yield client.drop_table(database="by keyword", name="t")
    yield client.drop_database(name="by keyword")


def test_every_public_keyword_works(url):
    with create_pool(base_url=url) as pool:
        client = pool.acquire()
        steps = by_keyword(client)
        outcomes = [next(steps)]
        for _ in range(13):
            outcomes.append(steps.send(outcomes[-1]))
        assert next(steps, None) is None
        pool.release(connection=client)
        assert outcomes[5] == outcomes[6]["records"] == [{"n": 2}]
        pool.discard(connection=pool.acquire())
        pool.set_token(token=None)
        client = pool.acquire()
        client.set_owner(owner="me")
        client.close()
        for wrong in ({}, {"client": client}, {"connection": client, "other": 1}):
            with pytest.raises(TypeError, match="one argument, connection"):
                pool.release(**wrong)
        with pytest.raises(TypeError, match="one argument, connection"):
            pool.release(client, connection=client)


def test_every_public_keyword_works_in_a_loop(url):
    async def test():
        async with aio.create_pool(base_url=url) as pool:
            client = await pool.acquire()
            steps = by_keyword(client)
            outcome = await next(steps)
            outcomes = [outcome]
            for _ in range(13):
                outcomes.append(await steps.send(outcomes[-1]))
            pool.release(connection=client)
            assert outcomes[5] == outcomes[6]["records"] == [{"n": 2}]

    asyncio.run(test())


def test_pools_and_clients_have_the_public_attributes():
    with create_pool(NOBODY, 1, 5, 3, idle_timeout=7) as pool:
        assert [getattr(pool, name) for name in OPTIONS] == [NOBODY, 1, 5, 3, 7]
        with pool.connection() as client:
            assert client.base_url == NOBODY
        pool.resize(2, 6)
        assert (pool.min_connections, pool.max_connections) == (2, 6)
    assert pool.base_url == NOBODY
    with create_pool() as pool:
        assert [getattr(pool, name) for name in OPTIONS] == ["http://localhost:8080", 2, 10, 30, 60]
    with PhantomDB(base_url=NOBODY) as client:
        assert client.base_url == NOBODY
    with connect(base_url=NOBODY) as client:
        assert client.base_url == NOBODY
    assert issubclass(PhantomDBError, Exception)
    assert phantomdb.pool.PhantomDB is PhantomDB


class Cursor:
    """Reads results as the cursor of the public SDK's back end for Django does."""

    def __init__(self, connection):
        self.connection = connection

    def execute(self, sql):
        result = self.connection.execute_query("default", sql)
        if sql.startswith("SELECT"):
            self.results = result.get("records", [])
            self.rowcount = len(self.results)
        else:
            self.results = [result]
            self.rowcount = result.get("affected_rows", 0)
        return self


def test_the_public_back_end_for_django_sees_rows_and_counts(url):
    with connect(url) as client:
        client.create_database("default")
        cursor = Cursor(client)
        cursor.execute("CREATE TABLE t (id INTEGER, s TEXT)")
        assert cursor.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')").rowcount == 2
        found = cursor.execute("SELECT id, s FROM t ORDER BY id")
        assert found.results == [{"id": 1, "s": "a"}, {"id": 2, "s": "b"}]
        assert found.rowcount == 2
        assert cursor.execute("UPDATE t SET s = 'c' WHERE id > 0").rowcount == 2
        assert cursor.execute("DELETE FROM t WHERE id = 1").rowcount == 1
        client.drop_database("default")
