# SPDX-License-Identifier: Apache-2.0
"""Processes and connections: what is started here ends with its time, and nothing is left of it."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOST = ROOT / ".build/release/roost"
SCRIPTS = pathlib.Path(os.environ.get("SCRIPTS", ROOT / "Sources/TaskStore/Scripts"))
WITHOUT_PRELUDE = ("submitted", "completed")


class Failed(Exception):
    """A measurement could not be made; the text says why."""


class Redis:
    """One connection. Answers are bytes, int, list or None; an error answer is raised."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
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
        lines = self.call("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def micros(self):
        """CPU that its main thread has used."""
        return sum(float(value) * 1e6 for name, value in self.info("cpu").items() if name.endswith("_main_thread"))

    def load_scripts(self, *names):
        """Loads scripts of Roost as Sources/TaskStore/Script.swift assembles them; returns their digests."""
        digests = {}
        for name in names:
            prelude = "" if name in WITHOUT_PRELUDE else (SCRIPTS / "prelude.lua").read_text()
            first, _, rest = (SCRIPTS / f"{name}.lua").read_text().partition("\n")
            digests[name] = self.call("SCRIPT", "LOAD", f"{first}\n{prelude}\n{rest}").decode()
        return digests


def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        bytes_ = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(bytes_), bytes_))
    return b"".join(parts)


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


class Server:
    """A Redis with the settings of Roost's embedded one, in a directory of its own."""

    def __init__(self, *more):
        self.directory = tempfile.mkdtemp(prefix="roost-redis.")
        self.socket = f"{self.directory}/redis.sock"
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", "redis.sock", "--dir", self.directory, "--appendonly", "yes",
             "--appendfsync", "everysec", "--save", "", "--daemonize", "no", "--logfile", "redis.log",
             "--auto-aof-rewrite-min-size", "256mb", "--rdbcompression", "no", *more],
            stdin=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + 10
        while not os.path.exists(self.socket):
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failed("redis-server does not start")
            time.sleep(0.02)

    def connect(self):
        return Redis(self.socket)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_group(self.process)
        shutil.rmtree(self.directory, ignore_errors=True)


class Host:
    """A Roost host with an embedded Redis; `types` is what config has under that name."""

    def __init__(self, port, types, plugin_settings=None):
        self.directory = tempfile.mkdtemp(prefix="roost-host.")
        self.socket = f"{self.directory}/data/redis.sock"
        config = {
            "redis": {"embedded": {"directory": f"{self.directory}/data"}}, "http": {"listen": f"127.0.0.1:{port}"},
            "plugins": {"echo": {"path": str(ROOT / ".build/release/libEcho.so"), "settings": plugin_settings or {}}},
            "types": types,
        }
        pathlib.Path(f"{self.directory}/config.json").write_text(json.dumps(config))
        self.log = open(f"{self.directory}/host.log", "w+")
        self.process = subprocess.Popen(
            [str(ROOST), "serve", "--config", f"{self.directory}/config.json"], stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log, start_new_session=True)
        end = time.monotonic() + 60
        while "is ready" not in pathlib.Path(self.log.name).read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                end_group(self.process)
                raise Failed("the host does not start: " + pathlib.Path(self.log.name).read_text()[-300:])
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_group(self.process, 20)
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)
