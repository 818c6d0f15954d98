"""Ctrl-C, and other signals, while the main thread waits."""

import signal
import time

import pytest

from conftest import python, rest

#: Begins a program that prints a line when it is about to wait for what never comes.
BEGIN = """
import os, signal, sys, threading, time
from phantomdb.pool import create_pool
pool = create_pool(sys.argv[1], 1, 1, acquire_timeout=100, request_timeout=100)
client = pool.acquire()

def say(*what):
    print(*what, flush=True)

def until_main_thread_waits(pending):
    while pool.status()['pending'] != pending:
        time.sleep(0.001)
"""

WAITS = {
    "acquire": "pool.acquire()",
    "a request": "client.health_check()",
    "a request of the pool": "pool.health_check()",
    "close": "pool.close(100)",
}


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_ends_a_wait_at_once(holding, wait):
    program = f"""{BEGIN}
say('waits')
started = time.monotonic()
try:
    {WAITS[wait]}
except KeyboardInterrupt:
    say('interrupted', time.monotonic() - started)
if {wait!r} == 'close':
    say('used 0 pending 0')
else:
    # Nothing was lost.
    say('used', pool.status()['used'] - 1, 'pending', pool.status()['pending'])
    pool.release(client)
    client = pool.acquire(1)
pool.release(client)
pool.close(0)
"""
    with python("-c", program, holding.url) as process:
        assert process.stdout.readline() == "waits\n"
        if wait == "a request":
            holding.holds(1)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        word, seconds = process.stdout.readline().split()
        assert word == "interrupted"
        assert time.monotonic() - sent < 2
        assert float(seconds) >= 0.05
        assert rest(process) == ("used 0 pending 0\n", "")
        assert process.returncode == 0


def test_a_signal_just_before_the_wait_is_not_lost(holding):
    # A thread sends SIGINT at moments around the beginning of the wait, which would else last.
    program = f"""{BEGIN}
pool.resize(2, 2)

def send(delay):
    end = time.perf_counter() + delay
    while time.perf_counter() < end:
        pass
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

other = pool.acquire()
for number in range(300):
    thread = threading.Thread(target=send, args=(number % 100 * 0.00005,))
    try:
        thread.start()
        pool.acquire(100)
    except KeyboardInterrupt:
        pass
    while True:
        try:
            thread.join()
            break
        except KeyboardInterrupt:
            pass
pool.release(other)
pool.release(client)
say('all', pool.status()['used'], pool.status()['pending'])
"""
    with python("-c", program, holding.url) as process:
        assert rest(process) == ("all 0 0\n", "")


def test_a_handler_that_does_not_raise_lets_the_wait_go_on(holding):
    program = f"""{BEGIN}
signal.signal(signal.SIGUSR1, lambda *_: say('handled'))
read, write = os.pipe()
os.set_blocking(write, False)
signal.set_wakeup_fd(write)
say('waits')
say(client.health_check())
# The wake-up descriptor of before was written to, and is set again.
say(os.read(read, 10) == bytes([signal.SIGUSR1]), signal.set_wakeup_fd(-1) == write)
pool.release(client)
"""
    with python("-c", program, holding.url) as process:
        assert process.stdout.readline() == "waits\n"
        holding.holds(1)
        time.sleep(0.1)
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == "handled\n"
        holding.release()
        expected = "{'status': 'healthy'}\nTrue True\n"
        assert rest(process) == (expected, "")


def test_a_request_in_a_handler_is_served(url):
    program = f"""{BEGIN}
def handle(*_):
    say('handled', pool.acquire(0.05))

signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    pool.acquire(20)
except Exception as error:
    say(type(error).__name__)
signal.signal(signal.SIGALRM, lambda *_: say(pool.get_status()['used']))
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    pool.acquire(0.3)
except Exception as error:
    say(type(error).__name__)
pool.release(client)
"""
    with python("-c", program, url) as process:
        expected = "TimeoutError\n1\nTimeoutError\n"
        assert rest(process) == (expected, "")


def test_other_threads_wait_on(holding):
    program = f"""{BEGIN}
responses = []
thread = threading.Thread(target=lambda: responses.append(client.health_check()))
thread.start()
say('waits')
try:
    pool.acquire()
except KeyboardInterrupt:
    say('interrupted')
thread.join()
say(responses)
pool.release(client)
"""
    with python("-c", program, holding.url) as process:
        assert process.stdout.readline() == "waits\n"
        holding.holds(1)
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        holding.release()
        assert rest(process) == ("[{'status': 'healthy'}]\n", "")


def test_ctrl_c_ends_a_program_that_catches_nothing(holding):
    with python("-c", f"{BEGIN}say('waits')\npool.acquire()", holding.url) as process:
        assert process.stdout.readline() == "waits\n"
        process.send_signal(signal.SIGINT)
        _, errors = rest(process)
        assert "\nKeyboardInterrupt\n" in errors
        assert process.returncode == -signal.SIGINT
