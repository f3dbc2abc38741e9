// SPDX-License-Identifier: Apache-2.0
// Leaves a daemon behind, which has its own session and whose parent is gone, and crashes.
#include <sys/wait.h>

#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
  pid_t child = fork();
  if (child == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    note_pid();
    linger();
  }
  waitpid(child, NULL, 0);
  usleep(100000);
  confess();
  write_to_null();
  return ROOST_OK;
}

BAD_PLUGIN(run)
