# SPDX-License-Identifier: Apache-2.0
"""The job that every peer runs: it answers with its params, about 100 bytes of JSON.

When it has run, 16 bytes go to a file of its process: when it was sent and when it had run, in nanoseconds of the monotonic
clock. Nothing else is counted, so nobody asks the system under measurement how far it is.
"""
import os
import struct
import time

WORK = os.environ["BENCH_WORK"]              # an empty directory
REDIS = os.environ["BENCH_REDIS"]            # the socket of a Redis; '' for peers without one
PORT = os.environ["BENCH_PORT"]              # a free port, for peers with a server of their own

_file = None


def params():
    return {"sent": time.monotonic_ns(), "text": "x" * 60}


def run(job):
    global _file
    if _file is None or _file[0] != os.getpid():
        _file = os.getpid(), os.open(f"{WORK}/ran.{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(_file[1], struct.pack("<qq", job["sent"], time.monotonic_ns()))
    return job
