// SPDX-License-Identifier: Apache-2.0
// Closes everything that is open: the worker's channel to its host, its connections to Redis, its log.
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance;
  confess();
  for (int descriptor = 0; descriptor < 1024; descriptor++) close(descriptor);
  usleep(500000);
  host->set_result(task, roost_text("\"closed\""));
  return ROOST_OK;
}

BAD_PLUGIN(run)
