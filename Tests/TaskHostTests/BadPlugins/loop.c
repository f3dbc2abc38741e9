// SPDX-License-Identifier: Apache-2.0
// Computes for ever and asks nobody whether it may.
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
  volatile unsigned long count = 0;
  confess();
  while (count < ~0ul) count++;
  return ROOST_OK;
}

BAD_PLUGIN(run)
