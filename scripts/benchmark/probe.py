# SPDX-License-Identifier: Apache-2.0
"""How long a task waits for a worker: `probe.py SOCKET` submits one after the other to a type and worker of its own until its
input ends, and prints one line of JSON: milliseconds from sending the submission to having the record in the worker's hands.
A wait that is not over by then counts as long as it has lasted, that for being known to Redis too."""
import json
import os
import random
import sys
import threading
import time

import protocol
import servers

PAUSE = 0.01


class Probe:
    def __init__(self, path):
        self.times, self.began = [], time.perf_counter()
        threading.Thread(target=self.end, daemon=True).start()
        self.link, self.takes, self.listener = servers.Redis(path), servers.Redis(path), servers.Redis(path)
        self.calls = protocol.Calls(protocol.load(self.link))
        self.host, self.worker, self.number = protocol.make_id(random), protocol.make_id(random), 0
        self.ask(self.link, self.calls.register(self.host, "probe", ["probe"]))
        self.ask(self.takes, self.calls.hello(self.worker))

    def ask(self, connection, call):
        """Sends a call and returns its last answer."""
        connection.socket.sendall(call.bytes)
        return [connection.reply() for _ in range(call.answers)][-1]

    def once(self):
        self.number += 1
        self.listener.socket.sendall(self.calls.wait(self.worker, ["probe"]).bytes)
        time.sleep(PAUSE)
        self.began = time.perf_counter()
        submission = self.calls.submit(self.host, self.number, "probe", 1)
        self.link.socket.sendall(submission.bytes)
        self.listener.reply()
        answer = self.ask(self.takes, self.calls.take(self.worker, "probe", self.number, 1))
        self.times.append((time.perf_counter() - self.began) * 1e3)
        self.began = None
        for _ in range(submission.answers):
            self.link.reply()
        self.ask(self.takes, self.calls.complete(self.worker, self.number, "probe", protocol.tasks_of(answer)))

    def end(self):
        sys.stdin.read()
        if self.began is not None:
            self.times.append((time.perf_counter() - self.began) * 1e3)
        times = sorted(self.times)
        said = {"takes": len(times), "p50Millis": times[len(times) // 2], "p99Millis": times[len(times) * 99 // 100]}
        print(json.dumps(said), flush=True)
        os._exit(0)


def main(path):
    probe = Probe(path)
    while True:
        probe.once()


if __name__ == "__main__":
    main(sys.argv[1])
