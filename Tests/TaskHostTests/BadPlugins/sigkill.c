// SPDX-License-Identifier: Apache-2.0
// Dies as of the system's out-of-memory killer: of a signal that cannot be caught.
#include <signal.h>

#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
  confess();
  raise(SIGKILL);
  return ROOST_OK;
}

BAD_PLUGIN(run)
