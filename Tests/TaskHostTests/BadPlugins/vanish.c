// SPDX-License-Identifier: Apache-2.0
// Calls _exit(0): nothing in the process gets to know which thread that was.
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
  confess();
  _exit(0);
}

BAD_PLUGIN(run)
