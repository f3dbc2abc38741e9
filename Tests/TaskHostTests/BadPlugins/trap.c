// SPDX-License-Identifier: Apache-2.0
// Executes an instruction that there is not, as a failed precondition of Swift does.
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
  confess();
  __builtin_trap();
}

BAD_PLUGIN(run)
