// SPDX-License-Identifier: Apache-2.0
// The plugin that `roost bench` measures with. Its export is declared by the ABI itself.
#include "roost_plugin.h"
