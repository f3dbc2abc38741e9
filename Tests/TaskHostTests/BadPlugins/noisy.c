// SPDX-License-Identifier: Apache-2.0
// Writes 1 MB to standard output when it is loaded, where others may have a protocol.
#include "zoo.h"

__attribute__((constructor)) static void shout(void) {
  for (int i = 0; i < 20000; i++) {
    if (write(1, "{\"exports\": \"none of your business, honestly\"}    \n", 50) != 50) return;
  }
}

static roost_status run(void *instance, roost_task *task) {
  (void)instance;
  host->set_result(task, roost_text("\"quiet\""));
  return ROOST_OK;
}

BAD_PLUGIN(run)
