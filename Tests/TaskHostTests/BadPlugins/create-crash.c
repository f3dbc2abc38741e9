// SPDX-License-Identifier: Apache-2.0
// Once it is armed, it crashes while it is made.
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance;
  host->set_result(task, roost_text("\"made\""));
  return ROOST_OK;
}

static void crash(void) {
  if (!is_armed()) return;
  confess();
  write_to_null();
}

BAD_PLUGIN_WITH(run, NULL, crash)
