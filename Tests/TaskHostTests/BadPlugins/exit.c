// SPDX-License-Identifier: Apache-2.0
// Calls exit(0), as a library does that takes the process for its own.
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
  confess();
  exit(0);
}

BAD_PLUGIN(run)
