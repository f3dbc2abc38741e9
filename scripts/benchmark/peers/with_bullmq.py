# SPDX-License-Identifier: Apache-2.0
import asyncio
import importlib.metadata
import sys

import bullmq
import redis.asyncio

import job

name = "BullMQ for Python"
settings = "2 worker processes of concurrency 50, addBulk of 64, results kept"
most = 64


def connection():
    return {"connection": redis.asyncio.Redis(unix_socket_path=job.REDIS, decode_responses=True)}


async def echo(task, _):
    return job.run(task.data)


async def work():
    bullmq.Worker("bench", echo, connection() | {"concurrency": 50})
    await asyncio.Event().wait()


async def open_queue():
    return bullmq.Queue("bench", connection())


def start():
    global loop, queue
    loop = asyncio.new_event_loop()
    queue = loop.run_until_complete(open_queue())


def version():
    return importlib.metadata.version("bullmq")


def workers():
    return [[sys.executable, "-c", "import asyncio, with_bullmq; asyncio.run(with_bullmq.work())"]] * 2


def submit(count):
    loop.run_until_complete(queue.addBulk([{"name": "echo", "data": job.params(), "opts": {}} for _ in range(count)]))
