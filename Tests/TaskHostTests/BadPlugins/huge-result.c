// SPDX-License-Identifier: Apache-2.0
// A result of 100 MB.
#include "zoo.h"

static roost_status run(void *instance, roost_task *task) {
  (void)instance;
  const size_t size = 100u * 1000 * 1000;
  char *text = malloc(size);
  if (!text) return ROOST_FAILED;
  memset(text, 'x', size);
  text[0] = text[size - 1] = '"';
  roost_bytes result = {text, size};
  host->set_result(task, result);
  free(text);
  return ROOST_OK;
}

BAD_PLUGIN(run)
