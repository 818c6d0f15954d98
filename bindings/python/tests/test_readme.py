"""Every program of the README runs, as it stands there but for the server's address."""

import json
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest

from conftest import python, rest, run_in_threads, run_python, start_devserver, stop_devserver
from phantomdb import PhantomDB

ROOT = Path(__file__).parents[3]


def programs(file, url):
    blocks = re.findall(r"^```python\n(.*?)^```$", file.read_text(), re.S | re.M)
    return [block.replace("http://localhost:8080", url) for block in blocks]


@pytest.fixture
def own_url():
    """Start a server for this test alone."""
    process, address = start_devserver()
    yield address
    stop_devserver(process)


def test_the_programs(own_url):
    printed = [
        run_python(program)
        for program in programs(ROOT / "bindings/python/README.md", own_url)
        if "Flask" not in program
    ]
    assert printed == [
        "[{'id': 1, 'paid': False}]\n1\n",
        "[{'id': 1, 'sum': 90}]\n",
        "healthy\n",
        "HTTP 404\n"
        "Timeout acquiring connection after 0.1 s: 2 of 2 connections in use, 1 waiting\n",
        "[]\n[[], [], []]\n",
        "['healthy', 'healthy', 'healthy', 'healthy', 'healthy', 'healthy']\n",
    ]


def test_the_program_of_the_first_page(own_url):
    [program] = programs(ROOT / "README.md", own_url)
    with PhantomDB(own_url) as client:
        client.create_database("shop")
    assert run_python(program) == "42\n"


SERVE = """
import logging, sys, threading, waitress
# What it says of a busy machine is not what is looked at here.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)
server = waitress.create_server(app, port=0, host="127.0.0.1", threads=32)
print(server.effective_port, flush=True)
threading.Thread(target=server.run, daemon=True).start()
sys.stdin.read()
"""


def test_the_web_service(url):
    [service] = [it for it in programs(ROOT / "bindings/python/README.md", url) if "Flask" in it]
    with python("-W", "ignore", "-c", service + SERVE, stdin=subprocess.PIPE) as process:
        address = f"http://127.0.0.1:{process.stdout.readline().strip()}/databases"

        def ask(_):
            with urllib.request.urlopen(address, timeout=60) as response:
                assert json.load(response) == {"databases": []}

        run_in_threads(32, ask)
        process.stdin.close()
        assert rest(process) == ("", "")
    assert process.returncode == 0
