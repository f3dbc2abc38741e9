# SPDX-License-Identifier: Apache-2.0
import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

import job

name = "Dramatiq"
settings = "2 processes of 4 threads, Redis broker and results, no other middleware"
most = 16

url = f"unix://{job.REDIS}"
broker = RedisBroker(url=url, middleware=[Results(backend=RedisBackend(url=url))])
dramatiq.set_broker(broker)
echo = dramatiq.actor(job.run, actor_name="echo", store_results=True)


def version():
    return dramatiq.__version__


def workers():
    program = sys.executable.rpartition("/")[0] + "/dramatiq"
    return [[program, "with_dramatiq", "--processes", "2", "--threads", "4", "--skip-logging"]]


def submit(count):
    for _ in range(count):
        echo.send(job.params())
