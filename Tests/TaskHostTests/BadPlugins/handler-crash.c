// SPDX-License-Identifier: Apache-2.0
// A good executor, and a callback that crashes.
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance;
  host->set_result(task, roost_text("\"good\""));
  return ROOST_OK;
}

static roost_status handle(void *instance, roost_task *task, const roost_outcome *outcome) {
  (void)instance, (void)task, (void)outcome;
  confess();
  write_to_null();
  return ROOST_OK;
}

BAD_PLUGIN_WITH(run, handle, NULL)
