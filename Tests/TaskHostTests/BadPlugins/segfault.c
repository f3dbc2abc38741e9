// SPDX-License-Identifier: Apache-2.0
// Writes to address 0.
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
  confess();
  write_to_null();
  return ROOST_OK;
}

BAD_PLUGIN(run)
