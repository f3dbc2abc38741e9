// SPDX-License-Identifier: Apache-2.0
// Calls abort().
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
  confess();
  abort();
}

BAD_PLUGIN(run)
