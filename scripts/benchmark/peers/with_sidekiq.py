# SPDX-License-Identifier: Apache-2.0
import os
import subprocess

import measure

name = "Sidekiq"
settings = "one process of 10 threads, push_bulk of 256; it stores no results"
most = 256

program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "with_sidekiq.rb")


def start():
    global submit
    submit = measure.Submitter("ruby", program).submit


def version():
    return subprocess.run(["ruby", program, "--version"], capture_output=True, text=True).stdout.strip()


def workers():
    return [["sidekiq", "--require", program, "--concurrency", "10", "--queue", "default"]]
