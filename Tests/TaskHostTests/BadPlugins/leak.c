// SPDX-License-Identifier: Apache-2.0
// Takes memory and more memory. Without a limit it stops at 512 MiB, and is then a task like any other.
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
  const size_t step = 8u << 20;
  confess();
  for (size_t taken = 0; taken < 512u << 20; taken += step) {
    char *memory = malloc(step);
    if (!memory) return ROOST_FAILED;
    memset(memory, 1, step);
    // Compilers drop memory that nobody reads.
    __asm__ volatile("" : : "r"(memory) : "memory");
    usleep(20000);
  }
  sleep(5);
  return ROOST_OK;
}

BAD_PLUGIN(run)
