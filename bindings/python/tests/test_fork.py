"""A pool that was made before its process forks."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from conftest import python, rest, run_in_threads, run_python
from phantomdb.pool import create_pool

#: A program with a pool that has been used, and a client that is out, when it forks.
BEGIN = """
import asyncio, gc, logging, os, signal, sys, threading, warnings
import phantomdb
from phantomdb import aio
from phantomdb.pool import create_pool

# Python can't know that the library's threads are no danger.
warnings.filterwarnings('ignore', 'This process .* is multi-threaded', DeprecationWarning)
# It reports what takes long, as a fork does.
logging.getLogger('asyncio').setLevel(logging.ERROR)

pool = create_pool(sys.argv[1], 1, 3)
pool.create_database('before')
client = pool.acquire()
client.list_databases()

def in_child(work):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            work()
            sys.stdout.flush()
            os._exit(0)
        except BaseException as error:
            print('in the child:', repr(error), flush=True)
            os._exit(1)
    assert os.waitpid(child, 0) == (child, 0)
"""
END = """
assert client.list_databases() == ['before']
pool.release(client)
assert pool.stats()['closed']['broken'] == 0
assert pool.stats()['created'] == CREATED
pool.drop_database('before')
pool.close()
print('parent')
"""


def run(url, program, created=1):
    output = run_python(BEGIN + program + END.replace("CREATED", str(created)), url)
    *lines, last = output.splitlines()
    assert last == "parent"
    return lines


def test_both_use_the_pool(url):
    program = """
def work():
    assert pool.get_status() == {'available': 1, 'used': 0, 'min': 1, 'max': 3}
    with pool.connection() as own:
        print(own.list_databases())
    threads = [threading.Thread(target=pool.list_databases) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.close()
in_child(work)
in_child(work)
"""
    assert run(url, program) == ["['before']", "['before']"]


def test_what_the_parent_had_acquired_is_nobody_s_in_the_child(url):
    program = """
def work():
    global client
    for call in (client.list_databases, lambda: pool.release(client)):
        try:
            call()
        except phantomdb.InvalidHandleError:
            print('refused')
    client = None
    gc.collect()
    print(pool.get_status()['used'])

def forget():
    global client
    client = None  # No warning, and nothing is given back.
    gc.collect()
in_child(work)
in_child(forget)
"""
    assert run(url, program) == ["refused", "refused", "0"]


def test_a_child_that_ends_as_usual_leaves_the_parent_alone(url):
    program = """
child = os.fork()
if child == 0:
    pool.list_databases()
    print('child')
    client = None
    sys.exit(0)
assert os.waitpid(child, 0) == (child, 0)
"""
    assert run(url, program) == ["child"]


def test_asyncio_in_both(url):
    program = """
tasks_pool = aio.create_pool(sys.argv[1], 1, 1)

async def use():
    async with tasks_pool.connection() as one:
        return await one.list_databases()

def work():
    print(asyncio.run(use()))

print(asyncio.run(use()))

async def fork_in_a_loop():
    held = await tasks_pool.acquire()
    waiting = asyncio.ensure_future(tasks_pool.acquire())
    await asyncio.sleep(0)
    in_child(lambda: asyncio._set_running_loop(None) or work())
    tasks_pool.release(held)
    tasks_pool.release(await waiting)

asyncio.run(fork_in_a_loop())
print(asyncio.run(use()))
asyncio.run(tasks_pool.close())
"""
    assert run(url, program) == ["['before']"] * 3


def test_a_child_of_a_thread_has_its_main_thread(url):
    program = """
import time

def interrupted():
    own = pool.acquire()
    pool.resize(1, 1)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        pool.acquire()
    except KeyboardInterrupt:
        print('interrupted')
    pool.release(own)

thread = threading.Thread(target=in_child, args=(interrupted,))
thread.start()
thread.join()
"""
    assert run(url, program) == ["interrupted"]


def test_forks_while_other_threads_work(url):
    program = """
pool.resize(1, 6)
is_over = False

def work():
    while not is_over:
        pool.list_databases()

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(20):
    in_child(lambda: pool.list_databases() and pool.close())
is_over = True
for thread in threads:
    thread.join()
print('done')
pool.resize(1, 3)
"""
    output = run_python(
        BEGIN + program + "\npool.release(client)\npool.drop_database('before')", url
    )
    assert output == "done\n"


def list_databases(_):
    """Work for a process of multiprocessing, which has inherited the pool."""
    with shared.connection() as client:
        return client.list_databases()


shared = None


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_multiprocessing(url):
    global shared
    shared = create_pool(url)
    shared.create_database("mp")
    try:
        with multiprocessing.get_context("fork").Pool(3) as processes:
            assert processes.map(list_databases, range(30)) == [["mp"]] * 30
        assert list_databases(0) == ["mp"]
    finally:
        shared.drop_database("mp")
        shared.close()


GUNICORN = """
import json
import os
from phantomdb.pool import create_pool

pool = create_pool(os.environ['URL'], 1, 4)
pool.health_check()

def app(environ, start_response):
    with pool.connection() as client:
        body = json.dumps([os.getpid(), client.list_databases()]).encode()
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [body]
"""


def test_gunicorn_with_preload(url, tmp_path):
    (tmp_path / "service.py").write_text(GUNICORN)
    command = [os.path.join(os.path.dirname(sys.executable), "gunicorn"), "--preload"]
    command += ["--workers", "3", "--threads", "4", "--bind", "127.0.0.1:0"]
    command += ["--worker-tmp-dir", str(tmp_path), "service:app"]
    environment = {**os.environ, "URL": url}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        address = None
        for line in process.stderr:
            if "Listening at: " in line:
                address = line.split("Listening at: ")[1].split()[0]
                break
        assert address
        seen = set()
        end = time.monotonic() + 60

        def client(_):
            count = 0
            # Until each has had a turn, which is not ours to give.
            while count < 20 or (len(seen) < 3 and time.monotonic() < end):
                count += 1
                with urllib.request.urlopen(address, timeout=60) as response:
                    process_id, databases = json.load(response)
                    assert databases == []
                    seen.add(process_id)

        run_in_threads(12, client)
        assert len(seen) == 3
    finally:
        process.send_signal(signal.SIGTERM)
        errors = process.stderr.read()
        process.wait(60)
        process.stderr.close()
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_a_program_that_is_stopped_after_a_fork_ends(url):
    program = (
        BEGIN + "in_child(pool.list_databases)\npool.release(client)\nprint('waits', flush=True)\n"
    )
    with python("-c", program + "signal.pause()", url) as process:
        assert process.stdout.readline() == "waits\n"
        process.send_signal(signal.SIGTERM)
        assert rest(process) == ("", "")
