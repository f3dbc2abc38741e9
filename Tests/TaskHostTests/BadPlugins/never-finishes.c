// SPDX-License-Identifier: Apache-2.0
// Says that another thread will finish the task, and there is none.
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
  confess();
  return ROOST_PENDING;
}

BAD_PLUGIN(run)
