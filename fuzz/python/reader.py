"""A random hostile server, and what the binding for Python makes of its responses.

Whatever comes, the outcome is a value or an error of ours. What Python's own reader of JSON accepts
is given with the same value, and what is a table is given as the rows that it was made of.
"""

from __future__ import annotations

import argparse
import asyncio
import decimal
import json
import random
import re
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import phantomdb
from phantomdb import _native, aio
from phantomdb.pool import create_pool

assert "/asan/" in _native.__file__, _native.__file__

#: Texts of all kinds, as they stand in JSON.
STRINGS = [
    '""', '"a"', '"\\u0000"', '"\\ud800"', '"\\udfff x"', '"\\ud83d\\ude00"', '"\\ud83d"', '"ä€😀"',
    '"\\n\\t\\"\\\\\\/"', '"' + "x" * 5000 + '"', '"' + "\\u20ac" * 3000 + '"', '"__class__"',
]  # fmt: skip
NUMBERS = [
    "0", "-0", "1", "-1", "9007199254740993", "9223372036854775807", "9223372036854775808",
    "-9223372036854775809", "18446744073709551616", "0.0", "-0.0", "0.1", "1e3", "1E+2", "5e-324",
    "1e308", "1e309", "-1e400", "1e-400", "7" * 4300, "-" + "7" * 4301, "12345678901234567890.5",
]  # fmt: skip
#: A body of nothing else counts as empty. Python also takes four separators for white space.
WHITE_SPACE = "".join(
    it for it in map(chr, range(0x3001)) if it.isspace() and not "\x1c" <= it <= "\x1f"
)
#: How many arrays and objects may be open at once.
MOST_OPEN = 128
OTHERS = ["null", "true", "false"]
#: What is not JSON, or hardly.
BROKEN = [
    "NaN", "Infinity", "-", "01", "1.", ".5", "1e", "+1", "tru", '"\\x"', '"\\u12"', '"', "\x00",
    '"\x1f"', "'a'", "[1,]", "{,}", '{"a"}', '{"a":}', "[", "]", "{", "}", ",", ":", "\ufeff1", "",
]  # fmt: skip


class Maker:
    """Makes JSON texts."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def scalar(self) -> str:
        return self.random.choice(self.random.choice([STRINGS, NUMBERS, OTHERS]))

    def value(self, depth: int = 0) -> str:
        chosen = self.random.random()
        if depth > 4 or chosen < 0.6:
            return self.scalar()
        if chosen < 0.62:
            deep = self.random.randrange(200)
            return "[" * deep + self.scalar() + "]" * deep
        parts = [self.value(depth + 1) for _ in range(self.random.randrange(5))]
        if chosen < 0.8:
            return "[" + f",{self.space()}".join(parts) + "]"
        members = [f"{self.random.choice(STRINGS)}{self.space()}:{it}" for it in parts]
        return "{" + self.space() + ",".join(members) + "}"

    def space(self) -> str:
        return self.random.choice(["", "", " ", "\n\t\r "])

    def names(self) -> list[str]:
        # Each once, also when what can't be read is replaced.
        return self.random.sample(['"a"', '"b"', '"\\ud800"', '"ä"', '"c d"', '""', '"\\n"'], 4)

    def table(self) -> tuple[str, list[dict[str, Any]]]:
        """A table in one of its shapes, and its rows."""
        names = self.names()[: self.random.randrange(1, 5)]
        rows = [
            [self.scalar() for _ in range(self.random.randrange(len(names) + 1))]
            for _ in range(self.random.choice([0, 1, 3, 50, 600]))
        ]
        expected = [{read(name): read(cell) for name, cell in zip(names, row)} for row in rows]
        if self.random.random() < 0.5:
            lists = ",".join(f"[{','.join(row)}]" for row in rows)
            return f'{{"columns":[{",".join(names)}],"rows":[{lists}]}}', expected
        objects = ",".join(
            "{" + ",".join(f"{name}:{cell}" for name, cell in zip(names, row)) + "}" for row in rows
        )
        key = self.random.choice(["records", "results", "rows"])
        return f'{{"{key}":[{objects}]}}', expected

    def broken(self, text: str) -> bytes:
        """The text with a few of its bytes changed."""
        data = bytearray(text.encode())
        for _ in range(self.random.randrange(1, 4)):
            at = self.random.randrange(len(data) + 1)
            way = self.random.randrange(4)
            if way == 0:
                data[at:at] = self.random.choice(BROKEN).encode()
            elif way == 1:
                del data[at : at + self.random.randrange(1, 20)]
            elif way == 2:
                data[at : at + 1] = bytes([self.random.randrange(256)])
            else:
                data[at:at] = data[: self.random.randrange(60)]
        return bytes(data)


def whole(digits: str) -> Any:
    return int(digits) if len(digits.lstrip("-")) <= 4300 else decimal.Decimal(digits)


def fraction(digits: str) -> Any:
    number = float(digits)
    try:
        return number if abs(number) != float("inf") else decimal.Decimal(digits)
    except decimal.InvalidOperation:
        # Not even a Decimal has such an exponent.
        return digits


def replaced(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    return [replaced(it) for it in value] if isinstance(value, list) else value


def refuse(word: str) -> Any:
    raise ValueError(word)


def read(text: str) -> Any:
    """Read JSON with Python's own reader, in the terms of the binding."""
    value = json.loads(
        text,
        parse_int=whole,
        parse_float=fraction,
        parse_constant=refuse,
        object_pairs_hook=lambda pairs: {replaced(key): replaced(it) for key, it in pairs},
    )
    return replaced(value)


def spelled(value: Any) -> str:
    """Tell values apart that are equal: 1 and 1.0 and True, -0.0 and 0."""
    if isinstance(value, dict):
        return repr(sorted((key, spelled(it)) for key, it in value.items()))
    if isinstance(value, list):
        return "[" + ",".join(map(spelled, value)) + "]"
    return repr(value) if not isinstance(value, int) or abs(value) < 2**64 else hex(value)


class Server:
    """Responds to every request with the body that is set."""

    def __init__(self) -> None:
        self.body = b"{}"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as lines:
            while lines.readline():
                length = 0
                while (line := lines.readline().strip().lower()) != b"":
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                lines.read(length)
                head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(self.body)}\r\n\r\n".encode()
                client.sendall(head + self.body)


def check_table(got: dict[str, Any], expected: list[dict[str, Any]], body: bytes) -> None:
    assert spelled(got["rows"]) == spelled(expected), body[:2000]
    assert got["rowCount"] == len(expected), body[:2000]


def depth_of(body: bytes) -> int:
    """How deeply the text nests; its value may not, since later members replace earlier ones."""
    deepest = depth = 0
    for bracket in re.findall(rb'[][{}]|"(?:[^"\\]|\\.)*"', body):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(bracket, 0)
        deepest = max(deepest, depth)
    return deepest


def check_raw(got: Any, body: bytes) -> None:
    """Compare with Python's reader: ``got`` is a value or an error of ours."""
    try:
        text = body.decode().removeprefix("\ufeff")
        expected = read(text) if text.strip(WHITE_SPACE) else {}
    except (ValueError, RecursionError):
        # Python says the same of what is not JSON, or of what is nested too deeply.
        assert isinstance(got, phantomdb.PhantomDBError), (got, body[:2000])
        return
    if isinstance(got, phantomdb.PhantomDBError):
        is_told = isinstance(expected, dict) and "error" in expected
        assert is_told or depth_of(body) > MOST_OPEN, (got, body[:2000])
        return
    assert depth_of(body) <= MOST_OPEN, body[:2000]
    assert spelled(got) == spelled(expected), body[:2000]


async def play(seconds: float, seed: int) -> int:
    maker = Maker(seed)
    server = Server()
    pool = create_pool(server.url, 1, 2)
    tasks_pool = aio.create_pool(server.url, 1, 2)
    end = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < end:
        rounds += 1
        text, expected = maker.table()
        server.body = text.encode()
        check_table(pool.execute_query("d", "q"), expected, server.body)
        check_table(await tasks_pool.execute_query("d", "q"), expected, server.body)
        value = maker.value()
        for body in (value.encode(), maker.broken(value), maker.broken(text)):
            server.body = body
            for way in range(2):
                try:
                    got = (
                        await tasks_pool.request("GET", "/x") if way else pool.request("GET", "/x")
                    )
                except phantomdb.PhantomDBError as error:
                    got = error
                check_raw(got, body)
            for call in (
                lambda: pool.execute_query("d", "q"),
                lambda: pool.select("d", "t"),
                pool.list_databases,
                lambda: pool.insert("d", "t", {}),
            ):
                with suppress(phantomdb.PhantomDBError):
                    call()
            for made in (tasks_pool.select("d", "t"), tasks_pool.list_tables("d")):
                with suppress(phantomdb.PhantomDBError):
                    await made
    assert pool.get_status()["used"] == tasks_pool.get_status()["used"] == 0
    pool.close()
    await tasks_pool.close()
    return rounds


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, required=True)
    arguments.add_argument("--seed", type=int, required=True)
    given = arguments.parse_args()
    print("rounds:", asyncio.run(play(given.seconds, given.seed)))
