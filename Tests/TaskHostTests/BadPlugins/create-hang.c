// SPDX-License-Identifier: Apache-2.0
// Once it is armed, it never comes back from being made.
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance;
  host->set_result(task, roost_text("\"made\""));
  return ROOST_OK;
}

static void hang(void) {
  if (!is_armed()) return;
  confess();
  linger();
}

BAD_PLUGIN_WITH(run, NULL, hang)
