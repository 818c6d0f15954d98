"""Loads the time zones of the world into PhantomDB, from several threads over one pool of
connections, and asks about them.

    pip install phantomdb
    python zones.py http://localhost:8080 ../data
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from phantomdb.pool import PhantomDB, PhantomDBConnectionPool, PhantomDBError, create_pool

DATABASE = "zones"
THREADS = 4

TABLES: dict[str, list[dict[str, Any]]] = {
    "countries": [
        {"name": "code", "type": "string", "primaryKey": True},
        {"name": "name", "type": "string"},
    ],
    "zones": [
        {"name": "name", "type": "string", "primaryKey": True},
        {"name": "latitude", "type": "float"},
        {"name": "longitude", "type": "float"},
    ],
    "places": [
        {"name": "country", "type": "string"},
        {"name": "zone", "type": "string"},
    ],
}

#: A table, and a row that is to be inserted into it.
Row = tuple[str, dict[str, Any]]


def degrees(sign: str, digits: str, degree_digits: int) -> float:
    """Read an angle of ISO 6709, [+-]DDMM or [+-]DDMMSS with two or three digits of degrees."""
    degree, rest = int(digits[:degree_digits]), digits[degree_digits:]
    angle = degree + int(rest[:2]) / 60 + int(rest[2:] or 0) / 3600
    return round(-angle if sign == "-" else angle, 4)


def read_table(file: Path, least_fields: int) -> Iterator[list[str]]:
    """Give the fields of each line that is not a comment."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) < least_fields:
            raise ValueError(f"{file}:{number}: can't be read")
        yield fields


def read_rows(folder: Path) -> Iterator[Row]:
    for code, name, *_ in read_table(folder / "iso3166.tab", 2):
        yield "countries", {"code": code, "name": name}
    for codes, place, zone, *_ in read_table(folder / "zone1970.tab", 3):
        (north, latitude), (east, longitude) = re.findall(r"([+-])(\d+)", place)
        yield (
            "zones",
            {
                "name": zone,
                "latitude": degrees(north, latitude, 2),
                "longitude": degrees(east, longitude, 3),
            },
        )
        # A zone may cover several countries: "AE,OM,RE".
        for country in codes.split(","):
            yield "places", {"country": country, "zone": zone}


def make_tables(client: PhantomDB) -> None:
    try:
        # What an earlier run left; on a server that never saw one there is nothing to drop.
        client.drop_database(DATABASE)
    except PhantomDBError as error:
        if error.status != 404:
            raise
    client.create_database(DATABASE)
    for name, columns in TABLES.items():
        client.create_table(DATABASE, name, columns)


class Loader:
    """Inserts all rows: each thread takes a client, and then the next row until none is left."""

    def __init__(self, pool: PhantomDBConnectionPool, rows: list[Row]) -> None:
        self.pool = pool
        self.rows = rows
        self.next = iter(rows)
        self.loaded = 0
        self.lock = threading.Lock()

    def run(self) -> None:
        with ThreadPoolExecutor(THREADS) as threads:
            for done in [threads.submit(self.load_some) for _ in range(THREADS)]:
                done.result()
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")

    def load_some(self) -> None:
        with self.pool.connection() as client:
            while row := self.take():
                client.insert(DATABASE, *row)
                self.show_progress()

    def take(self) -> Row | None:
        with self.lock:
            return next(self.next, None)

    def show_progress(self) -> None:
        with self.lock:
            self.loaded += 1
            if self.loaded % 50 == 0 and sys.stderr.isatty():
                sys.stderr.write(f"\rLoading row {self.loaded} of {len(self.rows)} ")
                sys.stderr.flush()


def count(client: PhantomDB, table: str) -> int:
    result = client.execute_query(DATABASE, f"SELECT count(*) AS n FROM {table}")
    return int(result["rows"][0]["n"])


def show_counts(client: PhantomDB) -> None:
    countries, zones = count(client, "countries"), count(client, "zones")
    print(f"Loaded {countries} countries and {zones} time zones, {THREADS} rows at a time.\n")


def show_countries(client: PhantomDB) -> None:
    result = client.execute_query(
        DATABASE,
        "SELECT count(*) AS zones, countries.name FROM places JOIN countries ON code = country "
        "GROUP BY code ORDER BY zones DESC, countries.name LIMIT ?",
        [10],
    )
    print("zones  country\n-----  -------")
    for row in result["rows"]:
        print(f"{row['zones']:5}  {row['name']}")


def show_southernmost(client: PhantomDB) -> None:
    condition = "latitude = (SELECT min(latitude) FROM zones)"
    [zone] = client.select(DATABASE, "zones", condition)
    print(f"\nSouthernmost: {zone['name']}, {-zone['latitude']:.2f} degrees south.")


def show_rollback(client: PhantomDB) -> None:
    before = count(client, "zones")
    client.begin_transaction(DATABASE)
    atlantis = {"name": "Atlantis/Poseidonis", "latitude": 31.0, "longitude": -24.0}
    client.insert(DATABASE, "zones", atlantis)
    within = count(client, "zones")
    client.rollback_transaction()
    after = count(client, "zones")
    print(
        f"With Atlantis there are {within} time zones; rolled back there are {after}, "
        f"{'unchanged' if before == after else 'CHANGED'}."
    )


def show_status(pool: PhantomDBConnectionPool) -> None:
    status = pool.status()
    print(
        f"\nPool: {status['available']} available, {status['used']} used, "
        f"{status['pending']} pending; {status['total']} in all, "
        f"at least {status['min']}, at most {status['max']}."
    )


def run(base_url: str, folder: Path) -> None:
    rows = list(read_rows(folder))
    # One for each thread, and one for the questions.
    connections = THREADS + 1
    with create_pool(base_url, connections, connections) as pool:
        with pool.connection() as client:
            make_tables(client)
            Loader(pool, rows).run()
            show_counts(client)
            show_countries(client)
            show_southernmost(client)
            show_rollback(client)
        show_status(pool)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: python zones.py BASE_URL DATA_DIR")
    try:
        run(sys.argv[1], Path(sys.argv[2]))
    except (PhantomDBError, OSError, ValueError) as error:
        sys.exit(f"zones: {error}")


if __name__ == "__main__":
    main()
