# SPDX-License-Identifier: Apache-2.0
"""Roost's calls of Redis as a host and a worker make them (docs/store.md), for the simulation of many of them."""
import json
import random
import struct
import time

import scripts
from servers import encode

PREFIX = "roost:{00}:"
LATEST = 1 << 47                              # a time that never comes
NAMES = ("register", "hello", "submitted", "take", "completed", "heartbeat", "reap", "retain")
CALL_TASKS, CALL_BYTES = 256, 1 << 20


def load(redis):
    """Loads the scripts; returns their digests."""
    return {name: redis.call("SCRIPT", "LOAD", scripts.text(name)).decode() for name in NAMES}


def make_id(source):
    return f"{source.getrandbits(64):016x}"


def definition(retention=1_000_000_000):
    """A type as it stands in Redis."""
    return json.dumps({
        "executor": "echo/echo", "worker": "echo", "threads": 4, "retentionAge": 7 * 86_400_000, "retentionCount": retention,
        "maxParams": 1 << 20, "maxResult": 4 << 20, "retry": {"attempts": 3, "backoff": 1000, "maxBackoff": 300_000},
        "handlerRetry": {"attempts": 10, "backoff": 1000, "maxBackoff": 300_000}, "queueCapacity": 1_000_000_000, "maxCrashes": 2})


class Call:
    """What is sent, and how many answers come."""

    def __init__(self, *commands):
        self.bytes = b"".join(commands)
        self.answers = len(commands)

    def __add__(self, other):
        both = Call(self.bytes, other.bytes)
        both.answers = self.answers + other.answers
        return both


def transaction(*commands):
    return Call(encode("MULTI"), *commands, encode("EXEC"))


class Calls:
    """Makes the calls; the digests are those of the loaded scripts."""

    def __init__(self, digests, source=random):
        self.digests = digests
        self.source = source

    def script(self, name, *arguments):
        return encode("EVALSHA", self.digests[name], 0, PREFIX, *arguments)

    def register(self, host, name, types):
        about = json.dumps({"name": name, "types": types, "formats": [1]})
        pairs = [word for type_ in types for word in (type_, definition())]
        return Call(self.script("register", host, about, *pairs))

    def hello(self, worker):
        return Call(self.script("hello", worker, bytes.fromhex(worker), 1, 0, "", json.dumps({"worker": worker})))

    def heartbeat(self, host, types, workers):
        """`workers`: of each its id, its last batch, and those that it holds."""
        arguments = []
        for worker, last, held in workers:
            arguments += [worker, bytes.fromhex(worker), last, held]
        return Call(self.script("heartbeat", host, CALL_TASKS, LATEST, len(types), *types, *arguments))

    def reap(self, worker, count):
        return Call(self.script("reap", worker, bytes.fromhex(worker), count, 1, ""))

    def retain(self, type_, list_, count):
        return Call(self.script("retain", type_, list_, count, 0, CALL_TASKS))

    def names(self):
        """What a host reads every ten seconds: types, when they were seen, and hosts."""
        return Call(encode("HGETALL", PREFIX + "types"), encode("ZRANGE", PREFIX + "seen", 0, -1, "WITHSCORES"),
                    encode("HVALS", PREFIX + "hosts"))

    def wait(self, worker, types):
        tokens = [f"{PREFIX}{kind}:{type_}" for type_ in types for kind in ("wake", "hwake")]
        return Call(encode("BLPOP", f"{PREFIX}ctl:{worker}", *tokens, 30))

    def submit(self, host, number, type_, count, size=99):
        now = int(time.time() * 1000)
        keys, pairs = [], []
        params = b'"' + b"x" * (size - 2) + b'"'
        for _ in range(count):
            keys.append(f"{PREFIX}t:{now:012x}7{self.source.getrandbits(12):03x}8{self.source.getrandbits(52):013x}00")
            header = b"1P-0\0\0\0\0\3\0" + bytes(39) + b"n" + bytes([len(type_)]) + bytes(9)
            record = header + struct.pack("<IH", size, 0) + struct.pack("<Q", now)[:6] + bytes(18) + type_.encode() + params
            pairs += [keys[-1], record]
        return transaction(
            encode("MSETNX", *pairs, f"{PREFIX}new:{host}:{number}", ""), encode("RPUSH", f"{PREFIX}q:{type_}", *keys),
            self.script("submitted", host, number, type_, count, keys[-1]))

    def take(self, worker, type_, batch, count):
        """The connection then watches the worker's fence; the take's answer is the last."""
        return Call(
            encode("WATCH", f"{PREFIX}fence:{worker}"),
            self.script("take", worker, bytes.fromhex(worker), 1, type_, "q", batch, count, CALL_BYTES))

    def complete(self, worker, batch, type_, taken):
        """`taken` is what `tasks_of` made of a take's answer; the last answer is None if the fence has changed."""
        pairs = [word for key, record in taken for word in (key, completed(record))]
        return transaction(
            encode("RPUSH", f"{PREFIX}done:{type_}", *(key[-32:] for key, _ in taken)), encode("MSET", *pairs),
            self.script("completed", worker, batch, type_, len(taken)))


def tasks_of(answer):
    """Key and record of each task of a take's answer."""
    flight, records = answer[3], answer[4:]
    size = len(flight) // max(1, len(records))
    return [(flight[i * size:(i + 1) * size - 4], record) for i, record in enumerate(records)]


def completed(record):
    """The record of a taken task as it stands when it has completed with its params as result."""
    now = struct.pack("<Q", int(time.time() * 1000))[:6]
    size = struct.unpack_from("<I", record, 60)[0]
    start = 90 + record[50] + struct.unpack_from("<H", record, 64)[0]
    block = struct.pack("<BBHHHII", 0, 0, 1, 3, 0, 1, size) + now
    return b"1C-0" + block + now + record[32:start + size] + record[start:start + size]
