"""The examples of the original documentation of the Python pool, as they are typed there."""

import subprocess
import threading
import unittest
import urllib.request
from contextlib import contextmanager

from conftest import NOBODY, python, rest, run_in_threads, run_python
from phantomdb.pool import PhantomDBConnectionPool, PhantomDBError, create_pool


def test_creating_a_pool_with_default_and_custom_settings():
    pool = create_pool(base_url="http://localhost:8080")
    custom_pool = create_pool(
        base_url="http://localhost:8080",
        min_connections=5,
        max_connections=20,
        acquire_timeout=60,  # 60 seconds
        idle_timeout=300,  # 5 minutes
    )
    assert isinstance(pool, PhantomDBConnectionPool)
    assert pool.get_status() == {"available": 2, "used": 0, "min": 2, "max": 10}
    assert custom_pool.get_status() == {"available": 5, "used": 0, "min": 5, "max": 20}
    pool.close()
    custom_pool.close()


def test_the_five_options_by_position():
    pool = create_pool("http://localhost:8080", 1, 3, 60, 300)
    assert pool.get_status() == {"available": 1, "used": 0, "min": 1, "max": 3}
    pool.close()


def test_acquiring_and_releasing(url, capsys):
    pool = create_pool(base_url=url)

    def perform_database_operations():
        # Acquire a connection from the pool
        client = pool.acquire()
        assert pool.get_status() == {"available": 1, "used": 1, "min": 2, "max": 10}

        try:
            # Use the client for database operations
            client.create_database("myapp")
            databases = client.list_databases()
            print("Databases:", databases)

            # Perform other operations...
        finally:
            # Always release the connection back to the pool
            pool.release(client)

    perform_database_operations()
    assert capsys.readouterr().out == "Databases: ['myapp']\n"
    assert pool.get_status()["used"] == 0
    pool.close()


@contextmanager
def get_db_connection(pool):
    client = pool.acquire()
    try:
        yield client
    finally:
        pool.release(client)


def test_a_context_manager(url, capsys):
    def example_with_context_manager():
        pool = create_pool(base_url=url)

        with get_db_connection(pool) as client:
            result = client.create_database("testdb")
            print("Database created:", result)

        # Pool is automatically closed when done
        pool.close()

    example_with_context_manager()
    assert "'name': 'testdb'" in capsys.readouterr().out


def test_status_monitoring(capsys):
    pool = create_pool(base_url="http://localhost:8080")

    # Get current pool status
    status = pool.get_status()
    print("Pool status:", status)
    pool.close()
    expected = "Pool status: {'available': 2, 'used': 0, 'min': 2, 'max': 10}\n"
    assert capsys.readouterr().out == expected


def handle_pool_errors(pool):
    try:
        # This will raise PhantomDBError if no connection is available within the timeout
        client = pool.acquire()
        # ... use client
        pool.release(client)
    except PhantomDBError as error:
        if "Timeout" in str(error):
            print("Unable to acquire connection within timeout")
        elif "closed" in str(error):
            print("Connection pool is closed")
        else:
            print("Connection error:", error)


def test_error_handling(url, capsys):
    pool = create_pool(url, 1, 1, acquire_timeout=0.02)
    client = pool.acquire()
    handle_pool_errors(pool)
    pool.release(client)
    pool.close()
    handle_pool_errors(pool)
    unreachable = create_pool(NOBODY, min_connections=0)
    handle_pool_errors(unreachable)
    unreachable.close()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Unable to acquire connection within timeout", "Connection pool is closed"]
    assert lines[2].startswith("Connection error: ")
    assert len(lines) == 3


FLASK = """
import sys
import threading
from flask import Flask
from phantomdb.pool import create_pool
import waitress

app = Flask(__name__)
pool = create_pool(base_url=sys.argv[1])

@app.route('/databases')
def list_databases():
    client = pool.acquire()
    try:
        databases = client.list_databases()
        return {'databases': databases}
    except Exception as error:
        return {'error': str(error)}, 500
    finally:
        pool.release(client)

if __name__ == '__main__':
    # Close pool on shutdown
    import atexit
    atexit.register(pool.close)

    # What it says of a busy machine is not what is looked at here.
    import logging
    logging.getLogger('waitress.queue').setLevel(logging.ERROR)
    server = waitress.create_server(app, port=0, host='127.0.0.1', threads=32)
    print(server.effective_port, flush=True)
    threading.Thread(target=server.run, daemon=True).start()
    sys.stdin.read()
    print(pool.status()['total'], pool.get_status()['used'])
"""


def test_a_flask_application(url):
    with python("-W", "ignore", "-c", FLASK, url, stdin=subprocess.PIPE) as process:
        address = f"http://127.0.0.1:{process.stdout.readline().strip()}/databases"

        def client(_):
            for _ in range(5):
                with urllib.request.urlopen(address, timeout=60) as response:
                    assert response.status == 200
                    assert response.read().startswith(b'{"databases":[')

        run_in_threads(32, client)
        process.stdin.close()
        output, errors = rest(process)
    total, used = output.split()
    assert (errors, process.returncode) == ("", 0)
    assert 1 <= int(total) <= 10
    assert used == "0"


WORKERS = """
import sys
import threading
import time
from phantomdb.pool import create_pool

def worker(pool, worker_id):
    for i in range(5):
        client = pool.acquire()
        try:
            databases = client.list_databases()
            print(f'Worker {worker_id}, iteration {i}: Found {len(databases)} databases')
            time.sleep(0.1)  # Simulate work
        finally:
            pool.release(client)

def run_multithreaded_example():
    pool = create_pool(base_url=sys.argv[1])

    # Create multiple worker threads
    threads = []
    for i in range(3):
        thread = threading.Thread(target=worker, args=(pool, i))
        threads.append(thread)
        thread.start()

    # Wait for all threads to complete
    for thread in threads:
        thread.join()

    # Check final pool status
    status = pool.get_status()
    print('Final pool status:', status)

    pool.close()

if __name__ == '__main__':
    run_multithreaded_example()
"""


def test_a_multi_threaded_application(url):
    # Two threads' print may share a line.
    output = run_python(WORKERS, url)
    for worker in range(3):
        for iteration in range(5):
            start = f"Worker {worker}, iteration {iteration}: Found "
            assert output.count(start) == 1
    last = output.splitlines()[-1]
    assert last.startswith("Final pool status: {'available': ")
    assert "'used': 0" in last


class TestPhantomDBPool(unittest.TestCase):
    def test_create_pool_with_default_settings(self):
        pool = create_pool(base_url="http://localhost:8080")
        status = pool.get_status()
        self.assertEqual(status["min"], 2)  # noqa: PT009
        self.assertEqual(status["max"], 10)  # noqa: PT009

    def test_acquire_and_release_connections(self):
        pool = create_pool(base_url="http://localhost:8080")
        client = pool.acquire()
        self.assertIsNotNone(client)  # noqa: PT009
        pool.release(client)

    def test_pool_status(self):
        pool = create_pool(base_url="http://localhost:8080")
        initial_status = pool.get_status()
        self.assertEqual(initial_status["available"], 2)  # noqa: PT009
        self.assertEqual(initial_status["used"], 0)  # noqa: PT009


def test_it_grows_from_its_minimum_to_its_maximum_under_50_threads(url):
    pool = create_pool(url, min_connections=2, max_connections=10)
    together = threading.Barrier(10, timeout=60)

    def work(number):
        client = pool.acquire()
        try:
            client.list_databases()
            # Ten have a client at once, five times.
            together.wait()
            client.list_databases()
        finally:
            pool.release(client)

    run_in_threads(50, work)
    status = pool.status()
    assert (status["used"], status["pending"], status["max"]) == (0, 0, 10)
    assert pool.stats()["created"] == 10
    pool.close()
