// SPDX-License-Identifier: Apache-2.0
// Says everything in Latin-1 and with the half of a character.
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance;
  roost_error error;
  roost_bytes text = {"caf\xe9 \xf0\x9f", 7}, json = {"\"caf\xe9 \xf0\x9f\"", 9};
  host->progress(task, 0.5, text);
  host->log(host, ROOST_LOG_WARNING, task, text);
  host->log(host, ROOST_LOG_WARNING, NULL, text);
  dprintf(2, "caf\xe9 \xf0\x9f\n");
  if (host->set_result(task, json) == ROOST_OK) return ROOST_OK;
  usleep(600000);
  memset(&error, 0, sizeof error);
  error.size = sizeof error;
  error.message = text;
  error.detail = json;
  host->set_error(task, &error);
  return ROOST_FAILED;
}

BAD_PLUGIN(run)
