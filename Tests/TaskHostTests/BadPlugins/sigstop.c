// SPDX-License-Identifier: Apache-2.0
// Lets the whole process stand still; nobody lets it go on. What its neighbours have to finish they finish before.
#include <signal.h>

#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
  confess();
  usleep(300000);
  raise(SIGSTOP);
  return ROOST_OK;
}

BAD_PLUGIN(run)
