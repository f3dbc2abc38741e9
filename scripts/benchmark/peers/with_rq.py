# SPDX-License-Identifier: Apache-2.0
import sys

import redis
import rq
from rq.serializers import JSONSerializer

import job

name = "RQ"
settings = "2 SimpleWorkers (no fork for each job), enqueue_many of 64, JSON results"
most = 64

queue = rq.Queue("bench", connection=redis.Redis(unix_socket_path=job.REDIS), serializer=JSONSerializer)


def version():
    return rq.__version__


def workers():
    program = sys.executable.rpartition("/")[0] + "/rq"
    return [[program, "worker", "--worker-class", "rq.SimpleWorker", "--serializer", "rq.serializers.JSONSerializer",
             "--url", f"unix://{job.REDIS}", "--quiet", "bench"]] * 2


def submit(count):
    queue.enqueue_many([rq.Queue.prepare_data("job.run", args=(job.params(),), result_ttl=3600) for _ in range(count)])
