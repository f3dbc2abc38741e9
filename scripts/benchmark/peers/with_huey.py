# SPDX-License-Identifier: Apache-2.0
import sys

import huey as library

import job

name = "huey"
settings = "2 worker processes, Redis queue and results"
most = 16

huey = library.RedisHuey("bench", url=f"unix://{job.REDIS}")


@huey.task()
def echo(params):
    return job.run(params)


def version():
    return library.__version__


def workers():
    program = sys.executable.rpartition("/")[0] + "/huey_consumer"
    return [[program, "with_huey.huey", "--workers", "2", "--worker-type", "process", "--quiet"]]


def submit(count):
    for _ in range(count):
        echo(job.params())
