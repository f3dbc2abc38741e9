# SPDX-License-Identifier: Apache-2.0
import asyncio
import importlib.metadata
import sys

import arq
from arq.connections import RedisSettings

import job

name = "arq"
settings = "2 processes of 100 jobs at once, polling every 10 ms (default: 500 ms), results kept"
most = 64


async def echo(_, params):
    return job.run(params)


class WorkerSettings:
    functions = [echo]
    redis_settings = RedisSettings(unix_socket_path=job.REDIS)
    max_jobs = 100
    poll_delay = 0.01
    keep_result = 3600
    log_results = False


def start():
    global loop, pool
    loop = asyncio.new_event_loop()
    pool = loop.run_until_complete(arq.create_pool(WorkerSettings.redis_settings))


def version():
    return importlib.metadata.version("arq")


def workers():
    # Not by its command line, which logs every job.
    return [[sys.executable, "-c", "import arq, with_arq; arq.run_worker(with_arq.WorkerSettings)"]] * 2


async def send(count):
    await asyncio.gather(*(pool.enqueue_job("echo", job.params()) for _ in range(count)))


def submit(count):
    loop.run_until_complete(send(count))
