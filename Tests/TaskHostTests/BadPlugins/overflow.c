// SPDX-License-Identifier: Apache-2.0
// Uses up its stack, so that a crash handler on the same stack could not run.
#include <limits.h>

#include "zoo.h"

static int deeper(int depth) {
  volatile char room[4096];
  room[depth % 4096] = (char)depth;
  return depth == INT_MAX ? 0 : deeper(depth + 1) + room[depth % 4096];
}

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
  confess();
  return deeper(0) == 0 ? ROOST_OK : ROOST_FAILED;
}

BAD_PLUGIN(run)
