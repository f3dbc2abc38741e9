// SPDX-License-Identifier: Apache-2.0
// Throws what nobody catches.
#include <stdexcept>

#include "zoo.h"

static roost_status run(void *, roost_task *) {
  confess();
  throw std::runtime_error("on purpose");
}

BAD_PLUGIN(run)
