// SPDX-License-Identifier: Apache-2.0
// What every bad plugin has beside its one misbehaviour: a file defines run() and ends with BAD_PLUGIN, or with
// BAD_PLUGIN_WITH for a callback or something to do in create().
#ifndef ZOO_H
#define ZOO_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "roost_plugin.h"

static const roost_host *host;
// The file that takes pids; settings are {"pids": FILE}, in the worker's directory.
static char pids[200];

// Writes down a process that must be gone when the task is final. One write to a file opened for appending, also after fork().
static inline void note_pid(void) {
  char line[32];
  int length = snprintf(line, sizeof line, "%d\n", (int)getpid());
  int file = open(pids, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0 || write(file, line, (size_t)length) != length) abort();
  close(file);
}

// What is done right before the misbehaviour: the worker has to go, and its last line stands in the error.
static inline void confess(void) {
  note_pid();
  dprintf(2, "last words of %.*s\n", (int)strcspn(pids, "."), pids);
}

// The crash of crashes. Without volatile on both sides compilers see that the write can have no effect.
static inline void write_to_null(void) {
  volatile int *volatile nowhere = NULL;
  *nowhere = 1;
}

static inline int is_armed(void) {
  char file[sizeof pids + 8];
  snprintf(file, sizeof file, "%s.armed", pids);
  return access(file, F_OK) == 0;
}

static inline int params_are(const roost_task *task, const char *text) {
  roost_task_info info;
  memset(&info, 0, sizeof info);
  info.size = sizeof info;
  host->task_info(task, &info);
  return info.params.length == strlen(text) && memcmp(info.params.data, text, info.params.length) == 0;
}

// For processes that shall be killed: they go by themselves only if nobody does it.
static inline void linger(void) {
  for (int i = 0; i < 120; i++) sleep(1);
  _exit(0);
}

#define BAD_PLUGIN(run) BAD_PLUGIN_WITH(run, NULL, NULL)

#define BAD_PLUGIN_WITH(run_function, handle_function, create_hook)                                                   \
  static roost_status register_exports(const roost_host *h, roost_registry *registry) {                               \
    roost_status (*callback)(void *, roost_task *, const roost_outcome *) = handle_function;                          \
    roost_executor executor;                                                                                          \
    memset(&executor, 0, sizeof executor);                                                                            \
    executor.size = sizeof executor;                                                                                  \
    executor.name = roost_text("run");                                                                                \
    executor.run = run_function;                                                                                      \
    if (callback) {                                                                                                   \
      roost_handler handler;                                                                                          \
      memset(&handler, 0, sizeof handler);                                                                            \
      handler.size = sizeof handler;                                                                                  \
      handler.name = roost_text("handle");                                                                            \
      handler.handle = callback;                                                                                      \
      h->add_callback(registry, &handler);                                                                            \
    }                                                                                                                 \
    return h->add_executor(registry, &executor);                                                                      \
  }                                                                                                                   \
  static roost_status create(const roost_host *h, roost_bytes settings, void **instance, char *message,               \
                             uint32_t capacity) {                                                                     \
    void (*hook)(void) = create_hook;                                                                                 \
    char text[256] = {0};                                                                                             \
    memcpy(text, settings.data, settings.length < sizeof text ? settings.length : sizeof text - 1);                   \
    if (sscanf(text, "{\"pids\": \"%190[^\"]\"", pids) != 1) {                                                        \
      snprintf(message, capacity, "settings.pids must be the name of a file");                                        \
      return ROOST_REJECTED;                                                                                          \
    }                                                                                                                 \
    host = h;                                                                                                         \
    *instance = pids;                                                                                                 \
    if (hook) hook();                                                                                                 \
    return ROOST_OK;                                                                                                  \
  }                                                                                                                   \
  ROOST_EXPORT const roost_plugin *roost_plugin_v1(const roost_host *h) {                                             \
    static roost_plugin plugin;                                                                                       \
    (void)h;                                                                                                          \
    plugin.size = sizeof plugin;                                                                                      \
    plugin.name = roost_text("bad");                                                                                  \
    plugin.version = roost_text("1.0.0");                                                                             \
    plugin.toolchain = roost_text("cc");                                                                              \
    plugin.register_exports = register_exports;                                                                       \
    plugin.create = create;                                                                                           \
    return &plugin;                                                                                                   \
  }

#endif
