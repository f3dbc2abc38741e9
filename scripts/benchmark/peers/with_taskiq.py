# SPDX-License-Identifier: Apache-2.0
import asyncio
import importlib.metadata
import sys

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

import job

name = "taskiq"
settings = "2 worker processes, Redis list broker and results"
most = 64

url = f"unix://{job.REDIS}"
broker = ListQueueBroker(url=url).with_result_backend(RedisAsyncResultBackend(redis_url=url))


@broker.task(task_name="echo")
async def echo(params: dict) -> dict:
    return job.run(params)


def start():
    global loop
    loop = asyncio.new_event_loop()
    loop.run_until_complete(broker.startup())


def version():
    return importlib.metadata.version("taskiq")


def workers():
    program = sys.executable.rpartition("/")[0] + "/taskiq"
    return [[program, "worker", "with_taskiq:broker", "--workers", "2", "--log-level", "ERROR"]]


async def send(count):
    await asyncio.gather(*(echo.kiq(job.params()) for _ in range(count)))


def submit(count):
    loop.run_until_complete(send(count))
