# SPDX-License-Identifier: Apache-2.0
"""Measures one peer: `measure.py with_NAME SECONDS` prints one line of JSON. The environment is that of job.py.

A module with_NAME has
    name, settings      what it is and how it was set up, for the document
    most                how many jobs one submit may take
    version()           the version that is measured
    workers()           command lines of worker processes
    submit(count)       hands over so many jobs; returns when the system has them, or when a Submitter knows that it is to
    start()             where there is one: begins what only the submitter needs
"""
import importlib
import json
import pathlib
import socket
import statistics
import struct
import subprocess
import sys
import time

import job

UNDER_WAY = 8192          # jobs submitted and not yet run, at most
FEW = 1024                # as many, where 8,192 would take long to run: the queue is never empty with them either
FAST = 2000               # from so many a second on they do not
WARM_UP = 0.75            # seconds of load, twice, before counting begins
READY = 20.0              # seconds until the first job must have run
PER_SECOND, LATENCY_SECONDS = 100, 4


def files():
    return pathlib.Path(job.WORK).glob("ran.*")


def count_run():
    return sum(file.stat().st_size for file in files()) // 16


def millis_since(sent):
    """Of all jobs sent at that time or later, the milliseconds until they had run."""
    times = []
    for file in files():
        bytes_ = file.read_bytes()
        whole = bytes_[:len(bytes_) // 16 * 16]
        times += [(at - began) / 1e6 for began, at in struct.iter_unpack("<qq", whole) if began >= sent]
    return sorted(times)


def redis_micros():
    """CPU that Redis' main thread has used; None where the peer has no Redis."""
    if not job.REDIS:
        return None
    with socket.socket(socket.AF_UNIX) as redis:
        redis.connect(job.REDIS)
        redis.sendall(b"INFO cpu\r\n")
        text = b""
        while b"used_cpu_user_main_thread:" not in text or not text.endswith(b"\r\n"):
            text += redis.recv(65536)
    lines = [line.partition(b":") for line in text.split()]
    return sum(float(value) * 1e6 for name, _, value in lines if name.endswith(b"_main_thread"))


def wait_for(number, seconds):
    end = time.monotonic() + seconds
    while count_run() < number:
        if time.monotonic() > end:
            raise RuntimeError(f"after {seconds} s only {count_run()} of {number} jobs have run")
        time.sleep(0.002)


def load(peer, seconds, submitted, under_way):
    """Keeps the system busy for so long; returns how many jobs were submitted in all, and the share of the time in which no more were
    allowed."""
    end, counted, full = time.monotonic() + seconds, 0, 0
    while (now := time.monotonic()) < end:
        if now - counted >= job.EVERY:
            ran, counted = count_run(), now
        if submitted - ran + peer.most > under_way:
            time.sleep(job.EVERY)
            full += time.monotonic() - now
            continue
        peer.submit(peer.most)
        submitted += peer.most
    return submitted, full / seconds


def latency(peer):
    start = time.monotonic_ns()
    number = PER_SECOND * LATENCY_SECONDS
    for i in range(number):
        pause = start + i * 1_000_000_000 // PER_SECOND - time.monotonic_ns()
        if pause > 0:
            time.sleep(pause / 1e9)
        peer.submit(1)
    end = time.monotonic() + 10
    while len(times := millis_since(start)) < number and time.monotonic() < end:
        time.sleep(0.05)
    if len(times) < number:
        raise RuntimeError(f"{number - len(times)} of {number} jobs never ran")
    return {"p50Millis": statistics.median(times), "p99Millis": times[number * 99 // 100]}


def drive(peer, seconds):
    getattr(peer, "start", lambda: None)()
    peer.submit(1)
    wait_for(1, READY)
    submitted, _ = load(peer, WARM_UP, 1, FEW)
    under_way = UNDER_WAY if count_run() > FAST * WARM_UP else FEW
    submitted, _ = load(peer, WARM_UP, submitted, under_way)
    first, began, micros = count_run(), time.monotonic(), redis_micros()
    submitted, full = load(peer, seconds, submitted, under_way)
    number, took = count_run() - first, time.monotonic() - began
    result = {"tasks": number, "tasksPerSecond": number / took, "fullShare": full}
    if micros is not None:
        result["redisMicrosPerTask"] = (redis_micros() - micros) / max(1, number)
    wait_for(submitted, 20)
    time.sleep(0.5)
    return result | latency(peer)


def compile_beside(file, program, *libraries):
    """Compiles the C program that stands beside with_NAME.py."""
    subprocess.run(["cc", "-O2", "-o", program, file[:-len("py")] + "c", *libraries], check=True)


class Submitter:
    """A process of another language that submits as many jobs as the lines of its input say, on its own."""

    def __init__(self, *words):
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, text=True)

    def submit(self, count):
        if self.process.poll() is not None:
            raise RuntimeError("the submitter ended")
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()


def main(name, seconds):
    peer = importlib.import_module(name)
    log = open(f"{job.WORK}/workers.log", "ab")
    workers = []
    for words in peer.workers():
        workers.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=job.WORK))
    try:
        result = drive(peer, seconds)
    finally:
        for worker in workers:
            worker.terminate()
    print(json.dumps({"name": peer.name, "version": peer.version(), "settings": peer.settings} | result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
