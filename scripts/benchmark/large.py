# SPDX-License-Identifier: Apache-2.0
"""Whether tasks of 1 MiB block Redis: submits and executes 256 of them while a second process pings.

`large.py PORT` prints one line of JSON; `large.py ping SOCKET` is the second process.
"""
import concurrent.futures
import http.client
import json
import subprocess
import sys
import threading
import time

import servers

TASKS, SIZE, CLIENTS = 256, 1 << 20, 4
EVERY = 0.001                                # seconds between two pings


def ping(path):
    """Pings until its input ends; prints the longest answer and how many were asked for."""
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    redis, times = servers.Redis(path), []
    while not over.is_set():
        began = time.perf_counter()
        redis.call("PING")
        times.append((time.perf_counter() - began) * 1e3)
        time.sleep(EVERY)
    times.sort()
    print(json.dumps({"pings": len(times), "p99Millis": times[len(times) * 99 // 100], "maxMillis": times[-1]}))


def submit(port, body, count):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(count):
        connection.request("POST", "/v1/tasks", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
        if reply.status != 202:
            raise servers.Failed(f"{reply.status}: {text[:200]}")


def measure(port):
    body = json.dumps({"type": "large", "params": "x" * (SIZE - 2)})
    types = {"large": {"executor": "echo/echo", "threads": 2}}
    # The host ends first, and with it the connections that the clients wait at.
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool, servers.Host(port, types) as host:
        redis = servers.Redis(host.socket)
        redis.call("CONFIG", "SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "100000", "latency-monitor-threshold", "1")
        pinger = subprocess.Popen(
            [sys.executable, __file__, "ping", host.socket], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        began = time.monotonic()
        try:
            for done in [pool.submit(submit, port, body, TASKS // CLIENTS) for _ in range(CLIENTS)]:
                done.result()
            while int(redis.call("HGET", "roost:{00}:n:large", "COMPLETED") or 0) < TASKS:
                if time.monotonic() - began > 60:
                    raise servers.Failed("the tasks do not end")
                time.sleep(0.01)
            seconds = time.monotonic() - began
        finally:
            pings, _ = pinger.communicate("")
        command = max(entry[2] for entry in redis.call("SLOWLOG", "GET", "-1")) / 1e3
        events = {event[0].decode(): event[3] for event in redis.call("LATENCY", "LATEST")}
        return {"tasks": TASKS, "tasksPerSecond": TASKS / seconds, "longestMillis": max(command, *events.values(), 0),
                "longestCommandMillis": command, "events": events, "ping": json.loads(pings)}


if __name__ == "__main__":
    if sys.argv[1] == "ping":
        ping(sys.argv[2])
    else:
        servers.end_on_signals()
        print(json.dumps(measure(int(sys.argv[1]))))
