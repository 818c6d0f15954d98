"""A server that responds to each request with something else, by chance: tables, lists and objects of any values, changed
bytes, wrong framing, ends in the middle. Prints its URL as the first line, and serves until its input ends.

    hostile.py SEED [values]    with `values`, HTTP is always right, so that more of it reaches the readers
"""

import random
import socket
import struct
import sys
import threading

SEED = int(sys.argv[1])
ONLY_VALUES = sys.argv[2:] == ["values"]

NUMBERS = (
    "0", "-0", "-0.0", "1", "-1", "300", "9007199254740991", "9007199254740992", "-9007199254740993",
    "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "1e400", "-1e400",
    "1e-400", "1.5", "5.0", "1e3", "0.1", "123456789012345678.5", "2e-5", "1e99999999999999999999",
)  # fmt: skip
TEXTS = (
    '""', '"a"', '"\\u0000"', '"\\ud800"', '"\\udc00x"', '"\\ud83d\\ude00"', '"ü\U0001f600"', '"\\u0001\\u006e42"',
    '"__proto__"', '"constructor"', '"toString"', '"id"', '"\\\\\\"\\/\\b\\f\\n\\r\\t"', '"9007199254740993"',
)  # fmt: skip
NAMES = (
    '"id"',
    '"a"',
    '"b"',
    '"__proto__"',
    '"length"',
    '"then"',
    '"\\ud800"',
    '""',
    '"columns"',
    '"rows"',
    '"0"',
)


def value(chance: random.Random, depth: int = 0) -> str:
    kind = chance.randrange(12)
    if kind < 4:
        return chance.choice(NUMBERS)
    if kind == 4:
        return "".join(
            chance.choice("123456789") for _ in range(chance.choice((20, 400, 4299, 4301, 6000)))
        )
    if kind < 8:
        return chance.choice(TEXTS)
    if kind == 8:
        return (
            '"'
            + chance.choice(("x", "é", "\\n", "\\u00e9", "\\ud800"))
            * chance.choice((1, 100, 70_000))
            + '"'
        )
    if kind == 9 or depth > 3:
        return chance.choice(("null", "true", "false"))
    if kind == 10 and chance.random() < 0.2:
        deep = chance.choice((10, 126, 127, 128, 200))
        return "[" * deep + "]" * deep
    parts = [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 10:
        return "[" + ",".join(parts) + "]"
    return "{" + ",".join(f"{chance.choice(NAMES)}:{part}" for part in parts) + "}"


def array(chance: random.Random, part, most: int = 8) -> str:
    return "[" + ",".join(part() for _ in range(chance.randrange(most))) + "]"


def row(chance: random.Random) -> str:
    members = [f"{chance.choice(NAMES)}:{value(chance)}" for _ in range(chance.randrange(6))]
    return "{" + ",".join(members) + "}"


def table(chance: random.Random) -> str:
    members = []
    if chance.random() < 0.5:
        columns = array(chance, lambda: chance.choice(NAMES), 7)
        members.append(f'"columns":{columns}')
        width = columns.count(",") + 1
        line = lambda: (
            "[" + ",".join(value(chance) for _ in range(chance.randrange(width + 1))) + "]"
        )  # noqa: E731
        members.append(
            '"rows":' + array(chance, line if chance.random() < 0.8 else lambda: value(chance), 300)
        )
    else:
        name = chance.choice(("records", "records", "results", "rows"))
        members.append(f'"{name}":' + array(chance, lambda: row(chance), chance.choice((3, 300))))
    for name in ("rowCount", "affectedRows", "count", "error"):
        if chance.random() < 0.1:
            members.append(f'"{name}":{value(chance)}')
    chance.shuffle(members)
    return "{" + ",".join(members) + "}"


def body(chance: random.Random, target: str) -> bytes:
    if "/query" in target or "/tables/" in target:
        text = table(chance)
    elif target.endswith(("/databases", "/tables")):
        name = "databases" if target.endswith("/databases") else "tables"
        one = lambda: chance.choice(TEXTS) if chance.random() < 0.9 else value(chance)  # noqa: E731
        text = f'{{"{name}":' + array(chance, one, 400) + "}"
    else:
        text = row(chance) if chance.random() < 0.5 else value(chance)
    if chance.random() < 0.1:
        text = chance.choice((table, value))(chance)
    data = bytearray(text.encode())
    if chance.random() < 0.25:
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(data) + 1)
            if chance.random() < 0.5:
                data[at:at] = bytes((chance.choice(b'{}[],:"\\0e-.\xff\x00\xed\xa0'),))
            else:
                del data[at : at + chance.randrange(1, 4)]
    return bytes(data)


def response(chance: random.Random, target: str) -> tuple[bytes, bool]:
    """The bytes, and whether the connection goes on."""
    data = body(chance, target)
    status = (
        "200 OK"
        if chance.random() < 0.9
        else chance.choice(("400 x", "404 x", "500 x", "503 x", "204 x", "301 x"))
    )
    kind = (
        "application/json" if chance.random() < 0.95 else chance.choice(("text/plain", "text/html"))
    )
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n"
    if ONLY_VALUES or chance.random() < 0.7:
        return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data, True
    what = chance.randrange(9)
    if what == 0:  # A wrong length.
        length = len(data) + chance.choice((-1, 1, 100, 10**12))
        return f"{head}Content-Length: {length}\r\n\r\n".encode() + data, chance.random() < 0.5
    if what < 4:  # Chunks, mostly right.
        out = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()
        while data:
            size = min(len(data), chance.choice((1, 10, 5000)))
            said = (
                chance.choice((f"{size:x}", f"{size:X};a=b", f"+{size:x}"))
                if chance.random() < 0.1
                else f"{size:x}"
            )
            out += f"{said}\r\n".encode() + data[:size] + b"\r\n"
            data = data[size:]
        return out + b"0\r\n\r\n", chance.random() < 0.8
    if what == 4:  # As long as the connection.
        return f"{head}\r\n".encode() + data, False
    if what == 5:
        return (
            f"{head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + data,
            False,
        )
    if what == 6:  # Cut in the middle.
        whole = f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data
        return whole[: chance.randrange(len(whole))], False
    if what == 7:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(200))), False
    return (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        + f"{head}Content-Length: {len(data)}\r\n\r\n".encode()
        + data,
        True,
    )


def serve(peer: socket.socket, chance: random.Random) -> None:
    reader = peer.makefile("rb")
    try:
        while True:
            line = reader.readline()
            if not line:
                break
            target = line.split()[1].decode().split("?")[0]
            length = 0
            while (line := reader.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            reader.read(length)
            out, goes_on = response(chance, target)
            if chance.random() < 0.1:
                at = chance.randrange(len(out) + 1)
                peer.sendall(out[:at])
                out = out[at:]
            peer.sendall(out)
            if not goes_on:
                if chance.random() < 0.3:  # A reset.
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                break
    except (OSError, IndexError, ValueError):
        pass
    finally:
        reader.close()
        peer.close()


def accept(listener: socket.socket) -> None:
    number = 0
    while True:
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number += 1
        threading.Thread(
            target=serve, args=(peer, random.Random(f"{SEED}-{number}")), daemon=True
        ).start()


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    sys.stdin.read()


main()
