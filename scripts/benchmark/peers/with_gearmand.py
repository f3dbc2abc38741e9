# SPDX-License-Identifier: Apache-2.0
import subprocess
import time

import job
import measure

name = "gearmand"
settings = "queue in memory only, 2 workers and a submitter in C, 256 background jobs at once; results are dropped"
most = 256

program = f"{job.WORK}/with_gearmand"


def start():
    global submit
    time.sleep(2)
    submit = measure.Submitter(program, "submit", job.PORT).submit


def version():
    return subprocess.run(["gearmand", "--version"], capture_output=True, text=True).stdout.split()[1]


def workers():
    measure.compile_beside(__file__, program, "-lgearman")
    server = ["gearmand", "--listen", "127.0.0.1", "--port", job.PORT, "--log-file", f"{job.WORK}/gearmand.log"]
    return [server] + [["sh", "-c", f"sleep 1; exec {program} work {job.PORT}"]] * 2
