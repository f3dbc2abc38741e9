// SPDX-License-Identifier: Apache-2.0
// Processes that make processes, sixty in all, some of them in sessions of their own; and a task that never ends.
#include <sys/mman.h>

#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
  int *count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (count == MAP_FAILED) return ROOST_FAILED;
  confess();
  for (;;) {
    int number = __atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
    if (number >= 60) linger();
    pid_t pid = fork();
    if (pid < 0) linger();
    if (pid > 0) {
      usleep(1000);
      continue;
    }
    if (number % 3 == 0) setsid();
    note_pid();
  }
}

BAD_PLUGIN(run)
