"""The agent for Python with threads."""

from __future__ import annotations

import json
import logging
import sys
import threading
from typing import Any

from python_values import as_error, as_options, as_report, as_seconds, as_value, as_values

from phantomdb import PhantomDBError
from phantomdb.pool import create_pool

LEVELS = {logging.INFO: "info", logging.WARNING: "warning"}


class Agent:
    """Carries out commands, each in a thread of its own."""

    def __init__(self) -> None:
        #: What the driver has given names to; released clients keep theirs.
        self.things: dict[str, Any] = {}
        self.logs: dict[str, list[tuple[str, str]]] = {}
        self.output = threading.Lock()

    def read(self) -> None:
        """Carry out what is asked until the end of the input."""
        for line in sys.stdin:
            threading.Thread(target=self.carry_out, args=(json.loads(line),), daemon=True).start()

    def carry_out(self, command: dict[str, Any]) -> None:
        try:
            value = getattr(self, f"do_{command['do']}")(command)
            report = {"ok": as_report(command, value)}
        except PhantomDBError as error:
            report = {"error": as_error(error)}
        with self.output:
            print(json.dumps({"id": command["id"], **report}, default=str), flush=True)

    def find(self, command: dict[str, Any]) -> Any:
        return self.things[command.get("on", "pool")]

    def do_create(self, command: dict[str, Any]) -> None:
        options = as_options(command["options"])
        log = self.logs[command["as"]] = []
        if options.pop("log", False):
            options["log"] = lambda level, message: log.append((LEVELS[level], message))
        self.things[command["as"]] = create_pool(**options)

    def do_acquire(self, command: dict[str, Any]) -> None:
        timeout, owner = as_seconds(command.get("timeout")), command.get("owner")
        self.things[command["as"]] = self.find(command).acquire(timeout, owner=owner)

    def do_try_acquire(self, command: dict[str, Any]) -> None:
        self.things[command["as"]] = self.find(command).try_acquire()

    def do_release(self, command: dict[str, Any]) -> None:
        client = self.find(command)
        pool = self.things[command["from"]] if "from" in command else client.pool
        getattr(pool, command["do"])(client)

    do_discard = do_release

    def do_run(self, command: dict[str, Any]) -> Any:
        operation = command["operation"]
        method = getattr(self.find(command), operation)
        return method(*as_values(operation, command["arguments"]))

    def do_request(self, command: dict[str, Any]) -> Any:
        body = as_value(command.get("body"))
        return self.find(command).request(command["method"], command["path"], body)

    def do_interrupt(self, command: dict[str, Any]) -> None:
        self.find(command).interrupt()

    def do_status(self, command: dict[str, Any]) -> Any:
        return self.find(command).status()

    def do_stats(self, command: dict[str, Any]) -> Any:
        return self.find(command).stats()

    def do_metrics(self, command: dict[str, Any]) -> Any:
        return self.find(command).metrics()

    def do_log(self, command: dict[str, Any]) -> Any:
        return self.logs[command.get("on", "pool")]

    def do_reset(self, command: dict[str, Any]) -> None:
        self.find(command).reset()

    def do_resize(self, command: dict[str, Any]) -> None:
        self.find(command).resize(command["min"], command["max"])

    def do_set_token(self, command: dict[str, Any]) -> None:
        self.find(command).set_token(command.get("token"))

    def do_close(self, command: dict[str, Any]) -> None:
        self.find(command).close(as_seconds(command.get("timeout")))

    def do_end(self, command: dict[str, Any]) -> None:
        things, self.things, self.logs = self.things, {}, {}
        for thing in things.values():
            if hasattr(thing, "acquire"):
                thing.close(0)


if __name__ == "__main__":
    Agent().read()
