// SPDX-License-Identifier: Apache-2.0
// Ends the thread that it was lent.
#include <pthread.h>

#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
  confess();
  pthread_exit(NULL);
}

BAD_PLUGIN(run)
