# SPDX-License-Identifier: Apache-2.0
import os
import subprocess

import job
import measure

name = "beanstalkd"
settings = "binlog synced every second, 2 workers and a submitter in C, 256 commands under way; it stores no results"
most = 256

program = f"{job.WORK}/with_beanstalkd"


def start():
    global submit
    submit = measure.Submitter(program, "submit", job.PORT).submit


def version():
    return subprocess.run(["beanstalkd", "-v"], capture_output=True, text=True).stdout.split()[1]


def workers():
    measure.compile_beside(__file__, program)
    directory = f"{job.WORK}/binlog"
    os.mkdir(directory)
    server = ["beanstalkd", "-l", "127.0.0.1", "-p", job.PORT, "-b", directory, "-f", "1000"]
    return [server] + [[program, "work", job.PORT]] * 2
