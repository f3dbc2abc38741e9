// SPDX-License-Identifier: Apache-2.0
// Returns, and finishes the task afterwards, as if it were pending.
#include <pthread.h>

#include "zoo.h"

static void *finish(void *task) {
  usleep(100000);
  host->finish((roost_task *)task, ROOST_FAILED);
  return NULL;
}

static roost_status run(void *instance, roost_task *task) {
  (void)instance;
  pthread_t thread;
  if (pthread_create(&thread, NULL, finish, task) != 0) return ROOST_FAILED;
  pthread_detach(thread);
  host->set_result(task, roost_text("\"returned\""));
  return ROOST_OK;
}

BAD_PLUGIN(run)
