"""What the tests share. Everything that is started here ends with the test that asked for it."""

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from phantomdb.pool import create_pool

# A shell that runs the tests in the background has them ignore it, and with them every program that
# they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

#: Nobody listens there.
NOBODY = "http://127.0.0.1:9"


def start_devserver(*options):
    program = os.environ.get("DEVSERVER")
    if not program:
        raise RuntimeError("DEVSERVER is not set: run `make test-python`")
    process = subprocess.Popen(
        [program, "--port", "0", "--stop-on-stdin-eof", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().strip()


def stop_devserver(process):
    process.stdin.close()
    process.stdout.close()
    assert process.wait() == 0


@pytest.fixture(scope="module")
def url():
    """Start a development server with its data in memory."""
    process, address = start_devserver()
    yield address
    stop_devserver(process)


class Server:
    """An HTTP server that responds as ``response(handler)`` says: (status, value).

    A value that is a str is a text; bytes and all else are JSON.
    """

    def __init__(self, response):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else the response's two parts meet the client's delayed acknowledgement.
            wbufsize = -1

            def handle_any(self):
                self.body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, value = response(self)
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                if isinstance(value, str):
                    data = value.encode()
                    self.send_header("content-type", "text/plain")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # A client that goes away is part of many tests.

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def stop(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def serve():
    """Give a function that starts a Server."""
    servers = []

    def start(response):
        servers.append(Server(response))
        return servers[-1].url

    yield start
    for server in servers:
        server.stop()


class Holding:
    """A server that holds its responses back until it is told to send them."""

    def __init__(self, serve):
        self.changed = threading.Condition()
        self.waiting = 0
        self.let_go = 0
        self.is_over = False
        self.url = serve(self.response)

    def response(self, _):
        with self.changed:
            self.waiting += 1
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.let_go > 0 or self.is_over)
            self.let_go -= 1
            self.waiting -= 1
            self.changed.notify_all()
        return 200, {"status": "healthy"}

    def holds(self, count):
        """Wait until so many requests are held."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.waiting == count, 20)

    def release(self, count=1):
        with self.changed:
            self.let_go += count
            self.changed.notify_all()


@pytest.fixture
def holding(serve):
    """Start a server that holds its responses back."""
    it = Holding(serve)
    yield it
    with it.changed:
        it.is_over = True
        it.changed.notify_all()


@pytest.fixture
def make_pool():
    """Give create_pool, whose pools are closed with the test."""
    pools = []

    def make(*arguments, **options):
        pools.append(create_pool(*arguments, **options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close(0)


def python(*arguments, **options):
    """Start another Python, as this one is."""
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Not where the package's sources would hide what is installed.
        cwd=os.path.dirname(__file__),
        **options,
    )


def rest(process):
    """Wait for the end of a program; give what it still prints, and its errors."""
    output = process.stdout.read()
    errors = process.stderr.read()
    process.wait(timeout=60)
    return output, errors


def run_python(program, *arguments):
    """Run a program; give what it prints. It must print no warning and end well."""
    with python("-c", program, *arguments) as process:
        output, errors = process.communicate(timeout=120)
    assert (errors, process.returncode) == ("", 0)
    return output


def run_in_threads(count, work):
    """Run ``work(number)`` in threads; raise what any of them raised."""
    raised = []

    def guarded(number):
        try:
            work(number)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]
