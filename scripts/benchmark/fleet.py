# SPDX-License-Identifier: Apache-2.0
"""Many simulated hosts, each with a worker, on one real Redis: what they send is what Roost sends, their tasks take no time.

A host has three connections besides its worker's two: for its store, for messages about final tasks, for housekeeping; it
beats once a second with all its workers in one call, reads every ten seconds which types and hosts there are, and takes the
lease of whoever's count has stood still for a lease time. A worker waits for tokens, takes, and completes what it took with
the next call. All in one thread; the time that it needs itself is no part of what is measured, which is Redis' CPU.
"""
import collections
import heapq
import itertools
import random
import selectors
import socket
import time

import protocol
from servers import Failed, encode, fields, main_thread_micros

LEASE, BEAT, READ_NAMES = 15.0, 1.0, 10.0
TAKE = 4                                     # tasks a take: the threads of a type
TICK = 0.02                                  # seconds between two submissions
PONG = b"+PONG\r\n"
PING = b"*1\r\n$4\r\nPING\r\n"


class Incomplete(Exception):
    pass


def parse(buffer, at):
    """The answer at the place, and where it ends."""
    end = buffer.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    kind, text, at = buffer[at:at + 1], buffer[at + 1:end], end + 2
    if kind == b"+":
        return bytes(text), at
    if kind == b":":
        return int(text), at
    if kind == b"$":
        size = int(text)
        if size < 0:
            return None, at
        if len(buffer) < at + size + 2:
            raise Incomplete
        return bytes(buffer[at:at + size]), at + size + 2
    if kind == b"*":
        if text == b"-1":
            return None, at
        parts = []
        for _ in range(int(text)):
            part, at = parse(buffer, at)
            parts.append(part)
        return parts, at
    raise Failed(bytes(text).decode())


class Connection:
    """The last answer to each call goes to its handler. A call whose answer is long is sent with a PING behind it, and its handler
    gets all bytes as they are."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(fleet.path)
        self.handlers = collections.deque()
        self.buffer = bytearray()
        fleet.selector.register(self.socket, selectors.EVENT_READ, self)

    def send(self, call, handler, unread=False):
        self.handlers += [(None, False)] * (call.answers - 1) + [(handler, unread)]
        self.socket.sendall(call.bytes + (PING if unread else b""))

    def readable(self):
        bytes_ = self.socket.recv(1 << 18)
        if not bytes_:
            raise Failed("Redis closed a connection")
        self.buffer += bytes_
        while self.buffer and self.handlers:
            handler, unread = self.handlers[0]
            if unread:
                end = self.buffer.find(PONG) + len(PONG)
                if end < len(PONG):
                    return
                answer = bytes(self.buffer[:end])
            else:
                try:
                    answer, end = parse(self.buffer, 0)
                except Incomplete:
                    return
            del self.buffer[:end]
            self.handlers.popleft()
            if handler:
                handler(answer)

    def close(self):
        self.fleet.selector.unregister(self.socket)
        self.socket.close()


class Worker:
    def __init__(self, fleet, id_):
        self.fleet, self.id = fleet, id_
        self.takes, self.listener = Connection(fleet), Connection(fleet)
        self.batch, self.held = 0, []        # the last batch answered, and tasks of it that are not completed
        self.is_stuck = False                # from now on it completes nothing
        self.takes.send(fleet.calls.hello(id_), lambda _: self.wait())

    def wait(self):
        self.listener.send(self.fleet.calls.wait(self.id, self.fleet.types), self.heard)

    def heard(self, pair):
        if pair is None:
            return self.wait()
        self.take(pair[0].decode().rpartition(":")[2])

    def take(self, type_):
        self.fleet.counts["takes"] += 1
        self.takes.send(self.fleet.calls.take(self.id, type_, self.batch + 1, TAKE), lambda answer: self.took(type_, answer))

    def took(self, type_, answer):
        self.batch += 1
        self.held = protocol.tasks_of(answer)
        if self.is_stuck:
            return
        if not self.held:
            return self.wait()
        count = len(self.held)
        has_more = answer[1] == 1
        completion = self.fleet.calls.complete(self.id, self.batch, type_, self.held)
        self.takes.send(completion, lambda answer: self.done(count, answer, not has_more))
        if has_more:
            self.take(type_)

    def done(self, count, answer, waits):
        if answer is None:
            raise Failed("a completion was refused")
        self.fleet.counts["completed"] += count
        if waits:
            self.held = []
            self.wait()


class Host:
    def __init__(self, fleet, id_, name):
        self.fleet, self.id = fleet, id_
        self.link, self.watcher, self.beats = Connection(fleet), Connection(fleet), Connection(fleet)
        self.number = 0
        self.sightings = {}                  # of the dead ones: since when its count is known to stand still
        self.link.send(fleet.calls.register(id_, name, fleet.types), None)
        self.watcher.send(protocol.Call(encode("SUBSCRIBE", f"{protocol.PREFIX}final")), None)
        self.worker = Worker(fleet, fleet.make_id())
        self.is_beating = False

    def beat(self):
        if self.is_beating:                  # as a host: never two at once
            self.fleet.counts["late beats"] += 1
            return
        self.is_beating = True
        self.fleet.counts["beats"] += 1
        worker = (self.worker.id, self.worker.batch, str(self.worker.batch) if self.worker.held else "")
        self.beats.send(self.fleet.calls.heartbeat(self.id, self.fleet.types, [worker]), self.beaten, unread=True)

    def beaten(self, answer):
        self.is_beating = False
        now = time.monotonic()
        if self.fleet.limit is not None:
            self.trim(answer)
        for id_ in list(self.fleet.dead):
            # Its count stands still since it died, which need not be read from each answer.
            if now - self.sightings.setdefault(id_, now) <= LEASE:
                continue
            del self.sightings[id_]
            at = answer.find(id_.encode())
            if at >= 0:
                self.reap(id_, parse(answer, at + len(id_) + 2)[0].decode())

    def trim(self, answer):
        """Removes from each finished list what is beyond the limit; of the answer only the numbers of the types are read."""
        at, parts = answer.find(b"\r\n") + 2, None
        for _ in range(3):
            parts, at = parse(answer, at)
        for type_, count in zip(parts[::8], parts[4::8]):
            if count > self.fleet.limit:
                self.fleet.counts["trims"] += 1
                self.beats.send(self.fleet.calls.retain(type_.decode(), "done", self.fleet.limit), None)

    def reap(self, id_, count):
        self.fleet.counts["reaps"] += 1

        def reaped(left):
            if left > 0:
                self.reap(id_, "")
            elif left == 0 and self.fleet.dead.pop(id_, None):
                self.fleet.reaped.append(time.monotonic())

        self.beats.send(self.fleet.calls.reap(id_, count), reaped)

    def read_names(self):
        self.link.send(self.fleet.calls.names(), None)

    def submit(self, type_, count):
        self.number += 1
        self.fleet.counts["submitted"] += count
        self.link.send(self.fleet.calls.submit(self.id, self.number, type_, count), None)

    def close(self):
        for connection in (self.link, self.watcher, self.beats, self.worker.takes, self.worker.listener):
            connection.close()


class Fleet:
    def __init__(self, server, hosts, types, seed):
        self.path = server.socket
        self.random = random.Random(seed)
        self.types = [f"type{number}" for number in range(types)]
        self.selector = selectors.DefaultSelector()
        self.calls = protocol.Calls(protocol.load(server.connect()), self.random)
        self.control = Connection(self)
        self.counts = collections.Counter()
        self.dead, self.reaped = {}, []      # id → when it died; when leases were taken
        self.rate = 0                        # tasks a second
        self.limit = None                    # of each finished list
        self.hosts = [Host(self, self.make_id(), f"host{number}") for number in range(hosts)]
        self.order = itertools.count()
        self.timers = []
        now = time.monotonic()
        for host in self.hosts:
            self.at(now + self.random.random() * BEAT, host, host.beat, BEAT)
            self.at(now + self.random.random() * READ_NAMES, host, host.read_names, READ_NAMES)
        self.at(now, self, self.tick, TICK)
        self.gone = set()                    # hosts that ended
        self.owed, self.turn = 0.0, 0

    def make_id(self):
        return protocol.make_id(self.random)

    def at(self, when, owner, call, every):
        heapq.heappush(self.timers, (when, next(self.order), owner, call, every))

    def tick(self):
        self.owed += self.rate * TICK
        if self.owed >= 1:
            count = min(int(self.owed), protocol.CALL_TASKS)
            self.owed -= count
            self.turn += 1
            self.hosts[0].submit(self.types[self.turn % len(self.types)], count)

    def run(self, seconds):
        self.run_until(lambda: False, seconds)

    def run_until(self, is_over, seconds):
        """Serves until it is over; returns false if the seconds were."""
        end = time.monotonic() + seconds
        while not is_over():
            now = time.monotonic()
            if now >= end:
                return False
            while self.timers and self.timers[0][0] <= now:
                when, _, owner, call, every = heapq.heappop(self.timers)
                if owner in self.gone:
                    continue
                call()
                # What could not be done in time is not made up for.
                self.at(max(when + every, now), owner, call, every)
            for key, _ in self.selector.select(max(0, min(end, self.timers[0][0]) - now)):
                if key.fileobj.fileno() >= 0:
                    key.data.readable()
        return True

    def micros(self):
        """CPU that Redis' main thread has used, and its own time in seconds; the fleet is served while the answer is under way."""
        said = []
        self.control.send(protocol.Call(encode("INFO", "cpu", "server")), lambda text: said.append(fields(text)))
        if not self.run_until(lambda: said, 60):
            raise Failed("Redis did not answer for 60 s")
        return main_thread_micros(said[0]), int(said[0]["server_time_usec"]) / 1e6

    def kill(self, count):
        """Hosts and their workers end without a word, some with tasks in their hands; never the one that submits."""
        victims = self.random.sample(self.hosts[1:], count)
        for host in victims:
            host.worker.is_stuck = True
        self.run(1.0)
        self.gone |= set(victims)
        self.hosts = [host for host in self.hosts if host not in self.gone]
        for host in victims:
            self.dead[host.id] = self.dead[host.worker.id] = time.monotonic()
            host.close()
        return sum(len(host.worker.held) for host in victims)
