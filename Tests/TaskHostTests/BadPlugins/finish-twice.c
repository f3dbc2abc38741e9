// SPDX-License-Identifier: Apache-2.0
// Finishes a pending task and then, with the dead handle, again.
#include <pthread.h>

#include "zoo.h"

static void *finish(void *argument) {
  roost_task *task = argument;
  usleep(20000);
  host->set_result(task, roost_text("\"once\""));
  host->finish(task, ROOST_OK);
  host->finish(task, ROOST_FAILED);
  host->set_result(task, roost_text("\"twice\""));
  return NULL;
}

static roost_status run(void *instance, roost_task *task) {
  (void)instance;
  pthread_t thread;
  if (pthread_create(&thread, NULL, finish, task) != 0) return ROOST_FAILED;
  pthread_detach(thread);
  return ROOST_PENDING;
}

BAD_PLUGIN(run)
