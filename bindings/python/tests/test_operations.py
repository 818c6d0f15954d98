"""Every operation, against the development server."""

import pytest

from phantomdb import HTTPError, InvalidArgumentError, InvalidStateError, PhantomDB, connect
from phantomdb.pool import create_pool

COLUMNS = [{"name": "n", "type": "integer", "primaryKey": True}, {"name": "s", "type": "string"}]


@pytest.fixture(params=["client", "pool", "standalone"])
def db(request, url):
    """Give what operations can be called on, each in its way."""
    if request.param == "standalone":
        with PhantomDB(url) as client:
            yield client
        return
    with create_pool(url) as pool:
        if request.param == "pool":
            yield pool
            return
        with pool.connection() as client:
            yield client


@pytest.fixture
def table(db):
    """Give the name of a database with a table ``t``."""
    db.create_database("d")
    db.create_table("d", "t", COLUMNS)
    yield "d"
    db.drop_database("d")


def test_health(db):
    assert db.health_check()["status"] == "healthy"


def test_databases(db):
    assert db.create_database("one")["name"] == "one"
    assert "one" in db.list_databases()
    assert "message" in db.drop_database("one")
    assert "one" not in db.list_databases()


def test_tables(db, table):
    assert db.list_tables(table) == ["t"]
    db.create_table(table, "other", COLUMNS)
    assert sorted(db.list_tables(table)) == ["other", "t"]
    db.drop_table(table, "other")
    assert db.list_tables(table) == ["t"]


def test_rows(db, table):
    for n, s in enumerate(["zero", "one", "two"]):
        assert "message" in db.insert(table, "t", {"n": n, "s": s})
    assert db.select(table, "t", "n > 1") == [{"n": 2, "s": "two"}]
    assert len(db.select(table, "t")) == 3
    assert db.update(table, "t", {"s": "ZERO"}, "n = 0")["count"] == 1
    assert db.update(table, "t", {"s": "all"})["count"] == 3
    assert db.delete(table, "t", "n = 2")["count"] == 1
    assert db.delete(table, "t", "1=1")["count"] == 2
    assert db.select(table, "t") == []


def test_queries(db, table):
    response = db.execute_query(table, "INSERT INTO t VALUES (?, ?), (?, ?)", [1, "a", 2, None])
    assert response["affectedRows"] == 2
    rows = [{"n": 1, "s": "a"}, {"n": 2, "s": None}]
    assert db.execute_query(table, "SELECT n, s FROM t WHERE n >= ? ORDER BY n", (1,)) == {
        "columns": ["n", "s"],
        "rows": rows,
        "results": rows,
        "records": rows,
        "rowCount": 2,
        "affectedRows": 0,
        "affected_rows": 0,
    }


def test_by_keyword(db, table):
    db.insert(database=table, table="t", row={"n": 7})
    assert db.select(database=table, table="t", condition="n = 7") == [{"n": 7, "s": None}]
    sql = "SELECT n FROM t WHERE n = ?"
    response = db.execute_query(database=table, sql=sql, parameters=[7])
    assert response["rows"] == [{"n": 7}]
    with pytest.raises(TypeError, match="row and data are one argument"):
        db.insert(database=table, table="t", row={"n": 7}, data={"n": 8})
    with pytest.raises(TypeError, match="data"):
        db.insert(table, "t", {"n": 7}, row={"n": 8})
    with pytest.raises(TypeError, match="unexpected keyword argument 'rows'"):
        db.insert(database=table, table="t", rows={"n": 7})


def test_values_come_back_as_they_went(db, table):
    strings = ["", " ", "ä€😀", 'quotes " and \\', "line\nbreak", "x" * 100_000, "%2F/?#&="]
    numbers = [2**53 + 1, 2**63 - 1, -(2**63)]
    for number, text in zip([*numbers, *range(10)], strings):
        db.insert(table, "t", {"n": number, "s": text})
        assert db.select(table, "t", f"n = {number}") == [{"n": number, "s": text}]
    assert db.execute_query(table, "SELECT 0.1 AS x, 1e300 AS y")["rows"] == [
        {"x": 0.1, "y": 1e300}
    ]


def test_names_of_any_kind(db):
    for name in ["a/b", "ä ö", "a?b#c", "100%", "..."]:
        db.create_database(name)
        assert name in db.list_databases()
        db.drop_database(name)


def test_requests_without_a_name(db, table):
    assert db.request("GET", "/databases/d/tables") == {"tables": ["t"]}
    db.request("POST", "/databases/d/tables/t", {"n": 1, "s": "x"})
    assert db.select(table, "t") == [{"n": 1, "s": "x"}]
    assert "phantomdb" in db.request("GET", "/metrics")


def test_what_can_not_be_sent_is_refused(db):
    refused = [
        (lambda: db.delete("d", "t", ""), "condition"),
        (lambda: db.delete("d", "t", None), "condition"),
        (lambda: db.drop_table("d", ".."), "table"),
        (lambda: db.list_tables(""), "database"),
        (lambda: db.list_tables("a\0b"), "database: contains a NUL"),
        (lambda: db.list_tables("\ud800"), "database: is not valid Unicode"),
        (lambda: db.insert("d", "t", {"n": float("nan")}), "row: can't be written as JSON"),
        (lambda: db.insert("d", "t", {"n": object()}), "row: can't be written as JSON"),
        (lambda: db.insert("d", "t", [1]), "row"),
        (lambda: db.update("d", "t", {"n": {1, 2}}), "data: can't be written as JSON"),
        (lambda: db.execute_query("d", "SELECT 1", {"a": 1}), "parameters"),
        (lambda: db.insert("d", "t", {"s": "\ud800"}), "row: is not valid Unicode"),
        (lambda: db.request("GET", "databases"), "path"),
        (lambda: db.request("POST", "/", "\ud800"), "body: is not valid Unicode"),
        (lambda: db.request("POST", "/", {1j: 2}), "body: can't be written as JSON"),
    ]
    for call, words in refused:
        with pytest.raises(InvalidArgumentError) as raised:
            call()
        assert str(raised.value).startswith(words)
        assert isinstance(raised.value, ValueError)
    with pytest.raises(TypeError, match="database: must be str, not <class 'int'>"):
        db.list_tables(7)
    with pytest.raises(TypeError, match="condition"):
        db.delete("d", "t")


def test_transactions(url):
    with create_pool(url) as pool, pool.connection() as client:
        client.create_database("bank")
        client.create_table("bank", "t", COLUMNS)
        number = client.begin_transaction("bank")
        assert isinstance(number, str)
        with pytest.raises(InvalidStateError):
            client.begin_transaction("bank")
        client.insert("bank", "t", {"n": 1})
        client.commit_transaction(number)
        client.begin_transaction(database="bank")
        client.insert("bank", "t", {"n": 2})
        client.rollback_transaction()
        with pytest.raises(InvalidStateError):
            client.commit_transaction()
        assert [row["n"] for row in client.select("bank", "t")] == [1]

        with client.transaction("bank") as number:
            client.insert("bank", "t", {"n": 3})
        with pytest.raises(RuntimeError, match="mine"), client.transaction("bank"):
            client.insert("bank", "t", {"n": 4})
            raise RuntimeError("mine")
        assert [row["n"] for row in client.select("bank", "t")] == [1, 3]

        client.begin_transaction("bank")
        client.insert("bank", "t", {"n": 5})
        client.close()
        # The release rolled it back.
        assert [row["n"] for row in pool.select("bank", "t")] == [1, 3]
        pool.drop_database("bank")


def test_a_client_of_its_own(url):
    client = connect(url, request_timeout=20)
    assert isinstance(client.list_databases(), list)
    assert client.pool.get_status() == {"available": 0, "used": 1, "min": 1, "max": 1}
    client.close()
    client.close()
    with PhantomDB(base_url=url) as client, pytest.raises(HTTPError) as raised:
        client.list_tables("nothing")
    assert raised.value.status == 404
    with pytest.raises(InvalidArgumentError, match="token"):
        PhantomDB(url, token="two words")
