// SPDX-License-Identifier: Apache-2.0
// 100,000 lines for the task's log and as many on standard error.
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance;
  char line[100];
  for (int i = 1; i <= 100000; i++) {
    snprintf(line, sizeof line, "line %d of a flood that nobody will read", i);
    host->log(host, ROOST_LOG_INFO, task, roost_text(line));
    dprintf(2, "%s\n", line);
  }
  host->set_result(task, roost_text("\"told\""));
  return ROOST_OK;
}

BAD_PLUGIN(run)
