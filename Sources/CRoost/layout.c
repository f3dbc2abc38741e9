// SPDX-License-Identifier: Apache-2.0
// The layout of ABI 1.0, pinned: a plugin built years ago reads these very offsets. A line here may be added, never changed.
#include "roost_plugin.h"

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "size of " #type)
#define MEMBER(type, member, offset, bytes)                                                  \
  _Static_assert(offsetof(type, member) == (offset), "offset of " #type "." #member);        \
  _Static_assert(sizeof(((type *)0)->member) == (bytes), "size of " #type "." #member)

_Static_assert(sizeof(void *) == 8 && sizeof(void (*)(void)) == 8, "LP64");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian");
_Static_assert(sizeof(roost_status) == 4, "size of roost_status");

SIZE(roost_bytes, 16);
MEMBER(roost_bytes, data, 0, 8);
MEMBER(roost_bytes, length, 8, 8);

SIZE(roost_task_info, 120);
MEMBER(roost_task_info, size, 0, 4);
MEMBER(roost_task_info, attempt, 4, 4);
MEMBER(roost_task_info, max_attempts, 8, 4);
MEMBER(roost_task_info, crashes, 12, 4);
MEMBER(roost_task_info, data, 16, 8);
MEMBER(roost_task_info, id, 24, 16);
MEMBER(roost_task_info, type, 40, 16);
MEMBER(roost_task_info, trace, 56, 16);
MEMBER(roost_task_info, tenant, 72, 16);
MEMBER(roost_task_info, params, 88, 16);
MEMBER(roost_task_info, created_at, 104, 8);
MEMBER(roost_task_info, deadline, 112, 8);

SIZE(roost_error, 56);
MEMBER(roost_error, size, 0, 4);
MEMBER(roost_error, code, 4, 4);
MEMBER(roost_error, flags, 8, 4);
MEMBER(roost_error, reserved, 12, 4);
MEMBER(roost_error, retry_after, 16, 8);
MEMBER(roost_error, message, 24, 16);
MEMBER(roost_error, detail, 40, 16);

SIZE(roost_outcome, 80);
MEMBER(roost_outcome, size, 0, 4);
MEMBER(roost_outcome, status, 4, 4);
MEMBER(roost_outcome, kind, 8, 4);
MEMBER(roost_outcome, code, 12, 4);
MEMBER(roost_outcome, message, 16, 16);
MEMBER(roost_outcome, detail, 32, 16);
MEMBER(roost_outcome, result, 48, 16);
MEMBER(roost_outcome, started_at, 64, 8);
MEMBER(roost_outcome, finished_at, 72, 8);

SIZE(roost_executor, 64);
MEMBER(roost_executor, size, 0, 4);
MEMBER(roost_executor, flags, 4, 4);
MEMBER(roost_executor, name, 8, 16);
MEMBER(roost_executor, params_schema, 24, 16);
MEMBER(roost_executor, run, 40, 8);
MEMBER(roost_executor, cancel, 48, 8);
MEMBER(roost_executor, data, 56, 8);

SIZE(roost_handler, 40);
MEMBER(roost_handler, size, 0, 4);
MEMBER(roost_handler, flags, 4, 4);
MEMBER(roost_handler, name, 8, 16);
MEMBER(roost_handler, handle, 24, 8);
MEMBER(roost_handler, data, 32, 8);

SIZE(roost_host, 136);
MEMBER(roost_host, size, 0, 4);
MEMBER(roost_host, abi_minor, 4, 4);
MEMBER(roost_host, name, 8, 16);
MEMBER(roost_host, version, 24, 16);
MEMBER(roost_host, log, 40, 8);
MEMBER(roost_host, task_info, 48, 8);
MEMBER(roost_host, stop_requested, 56, 8);
MEMBER(roost_host, progress, 64, 8);
MEMBER(roost_host, set_result, 72, 8);
MEMBER(roost_host, set_error, 80, 8);
MEMBER(roost_host, finish, 88, 8);
MEMBER(roost_host, record, 96, 8);
MEMBER(roost_host, extension, 104, 8);
MEMBER(roost_host, add_executor, 112, 8);
MEMBER(roost_host, add_callback, 120, 8);
MEMBER(roost_host, add_exception_handler, 128, 8);

SIZE(roost_plugin, 104);
MEMBER(roost_plugin, size, 0, 4);
MEMBER(roost_plugin, abi_minor, 4, 4);
MEMBER(roost_plugin, name, 8, 16);
MEMBER(roost_plugin, version, 24, 16);
MEMBER(roost_plugin, toolchain, 40, 16);
MEMBER(roost_plugin, register_exports, 56, 8);
MEMBER(roost_plugin, create, 64, 8);
MEMBER(roost_plugin, start, 72, 8);
MEMBER(roost_plugin, stop, 80, 8);
MEMBER(roost_plugin, destroy, 88, 8);
MEMBER(roost_plugin, extension, 96, 8);
