/* SPDX-License-Identifier: Apache-2.0
 *
 * Notify: a callback and an exception handler, both called "log", that write one line per outcome to the host's log.
 */
#ifndef ROOST_NOTIFY_H
#define ROOST_NOTIFY_H

#include "roost_plugin.h"

#endif
