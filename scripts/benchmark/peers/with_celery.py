# SPDX-License-Identifier: Apache-2.0
import sys

import celery

import job

name = "Celery"
settings = "prefork 2, prefetch 128, Redis broker and JSON results"
most = 16

url = f"redis+socket://{job.REDIS}"
app = celery.Celery("with_celery", broker=url, backend=url)
app.conf.update(
    task_serializer="json", result_serializer="json", accept_content=["json"], worker_prefetch_multiplier=128,
    broker_connection_retry_on_startup=True)
echo = app.task(job.run, name="echo")


def version():
    return celery.__version__


def workers():
    return [[sys.executable, "-m", "celery", "-A", "with_celery", "worker", "--pool", "prefork", "--concurrency", "2",
             "--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"]]


def submit(count):
    for _ in range(count):
        echo.apply_async((job.params(),))
