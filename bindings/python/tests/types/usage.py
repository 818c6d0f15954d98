"""What users write, for mypy: it checks this file and never runs it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import phantomdb
from phantomdb import PhantomDB, PhantomDBError, aio, connect
from phantomdb.pool import PhantomDBConnectionPool, create_pool

pool: PhantomDBConnectionPool = create_pool(
    "http://localhost:8080",
    max_connections=20,
    acquire_timeout=0.5,
    idle_timeout=300,
    tls_ca_file=Path("ca.pem"),
    log=logging.getLogger("db").log,
)
status: dict[str, int] = pool.get_status()
client: PhantomDB = pool.acquire(timeout=1, owner="me")
try:
    names: list[str] = client.list_databases()
    rows: list[dict[str, Any]] = client.select("shop", "orders", "paid = 0")
    client.insert("shop", "orders", {"id": 1, "paid": False})
    client.insert(database="shop", table="orders", data={"id": 1})
    response: dict[str, Any] = pool.query("shop", "SELECT ?", [1])
    response = client.execute_query(database="shop", query="SELECT ?", parameters=[1])
except phantomdb.TimeoutError as error:
    seconds: float | None = error.retry_after
except PhantomDBError as error:
    number: int | None = error.status
    code: str | None = error.code
finally:
    pool.release(client)

with pool.connection() as it, it.transaction("shop") as transaction:
    text: str = transaction
with connect() as own:
    own.health_check()


async def in_a_loop() -> None:
    """The same in an event loop."""
    async with aio.create_pool("http://localhost:8080", idle_timeout=300) as tasks_pool:
        one: aio.PhantomDB = await tasks_pool.acquire(timeout=1, owner="me")
        tasks_pool.release(one)
        async with tasks_pool.connection() as two, two.transaction("shop") as number:
            names: list[str] = await two.list_databases()
            assert number in names
        found: list[dict[str, Any]] = await tasks_pool.select("shop", "orders")
        assert found
        len(tasks_pool.list_databases())  # type: ignore[arg-type]


create_pool(max_connection=5)  # type: ignore[call-arg]
create_pool(max_connections="5")  # type: ignore[arg-type]
client.delete("shop", "orders")  # type: ignore[call-arg]
client.list_tables(7)  # type: ignore[arg-type]
