# SPDX-License-Identifier: Apache-2.0
"""Processes and connections: what is started here ends with its time, and nothing is left of it."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOST = ROOT / ".build/release/roost"
SCRIPTS = pathlib.Path(os.environ.get("SCRIPTS", ROOT / "Sources/TaskStore/Scripts"))


class Failed(Exception):
    """A measurement could not be made; the text says why."""


class Redis:
    """One connection. Answers are bytes, int, list or None; an error answer is raised."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.socket.settimeout(60)
        self.replies = self.socket.makefile("rb", 1 << 16)

    def close(self):
        self.replies.close()
        self.socket.close()

    def call(self, *words):
        self.socket.sendall(encode(*words))
        return self.reply()

    def reply(self):
        line = self.replies.readline()
        if not line:
            raise Failed("Redis closed the connection")
        kind, text = line[:1], line[1:-2]
        if kind == b"+":
            return text
        if kind == b":":
            return int(text)
        if kind == b"$":
            return None if text == b"-1" else self.replies.read(int(text) + 2)[:-2]
        if kind == b"*":
            return None if text == b"-1" else [self.reply() for _ in range(int(text))]
        raise Failed(text.decode())

    def info(self, section):
        return fields(self.call("INFO", section))

    def micros(self):
        return main_thread_micros(self.info("cpu"))


def fields(info):
    return dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)


def main_thread_micros(fields_):
    """CPU that the main thread of a Redis has used, by its INFO cpu."""
    return sum(float(value) * 1e6 for name, value in fields_.items() if name.endswith("_main_thread"))


def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        bytes_ = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(bytes_), bytes_))
    return b"".join(parts)


def end_on_signals():
    """So that what was started is ended, too."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def free_port(first):
    """The first port of 127.0.0.1 from there on that nobody listens on."""
    for port in range(first, first + 100):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Failed(f"no port from {first} on is free")


def end_group(process, patience=5):
    """Ends a process that leads a group of its own, and all that is left of the group."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        if number == signal.SIGTERM:
            time.sleep(0.2)
    process.wait()


def run(words, seconds, **settings):
    """What a program prints; it is ended after so many seconds, with all that it started."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
            start_new_session=True, **settings)
        try:
            output, _ = process.communicate(timeout=seconds)
            hung = False
        except subprocess.TimeoutExpired:
            hung = True
        finally:
            end_group(process, 20)
        errors.seek(0)
        last = [line.strip() for line in errors.read().splitlines() if line.strip()][-1:]
    if hung:
        raise Failed(f"it did not end within {seconds} s")
    if process.returncode != 0:
        raise Failed(last[0] if last else f"it ended with {process.returncode}")
    return output


def run_json(words, seconds, **settings):
    lines = run(words, seconds, **settings).splitlines()
    if not lines:
        raise Failed("it printed nothing")
    return json.loads(lines[-1])


class Process:
    """A server that leads a group of its own, in a directory of its own; both are gone when it is left, and when it does not start."""

    def __init__(self, name):
        self.directory, self.process = tempfile.mkdtemp(prefix=f"roost-{name}."), None
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise

    def run(self, words, is_ready, seconds):
        log = pathlib.Path(f"{self.directory}/log")
        with open(log, "w") as output:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        end = time.monotonic() + seconds
        while not is_ready(log):
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failed(f"{words[0]} does not start: {log.read_text()[-300:].strip()}")
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            end_group(self.process, 10)
        shutil.rmtree(self.directory, ignore_errors=True)


class Server(Process):
    """A Redis with the settings of Roost's embedded one."""

    def __init__(self, *more):
        self.more = more
        super().__init__("redis")

    def start(self):
        self.socket = f"{self.directory}/redis.sock"
        self.run(
            ["redis-server", "--port", "0", "--unixsocket", "redis.sock", "--dir", self.directory, "--appendonly", "yes",
             "--appendfsync", "everysec", "--save", "", "--daemonize", "no", "--auto-aof-rewrite-min-size", "256mb",
             "--rdbcompression", "no", *self.more], lambda _: os.path.exists(self.socket), 10)

    def connect(self):
        return Redis(self.socket)


class Host(Process):
    """A Roost host with an embedded Redis; `types` is what config has under that name."""

    def __init__(self, port, types):
        self.config = {
            "http": {"listen": f"127.0.0.1:{port}"}, "plugins": {"echo": {"path": str(ROOT / ".build/release/libEcho.so")}},
            "types": types,
        }
        super().__init__("host")

    def start(self):
        self.socket = f"{self.directory}/data/redis.sock"
        config = self.config | {"redis": {"embedded": {"directory": f"{self.directory}/data"}}}
        pathlib.Path(f"{self.directory}/config.json").write_text(json.dumps(config))
        self.run(
            [str(ROOST), "serve", "--config", f"{self.directory}/config.json"], lambda log: "is ready" in log.read_text(), 60)
