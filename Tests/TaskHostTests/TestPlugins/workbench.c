// SPDX-License-Identifier: Apache-2.0
// What the tests of the host need of a plugin: executors that behave in one simple way each, and handlers that write down
// every call in a file.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "roost_plugin.h"

static const roost_host *host;
static char journal[512];

static roost_task_info info_of(const roost_task *task) {
  roost_task_info info = {.size = sizeof info};
  host->task_info(task, &info);
  return info;
}

// One write to a file opened for appending: lines of several processes do not mix.
static void note(const char *what, const roost_task *task) {
  roost_task_info info = info_of(task);
  char line[256];
  int length = snprintf(line, sizeof line, "%s %.*s\n", what, (int)info.id.length, info.id.data);
  int file = open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file >= 0) {
    if (write(file, line, (size_t)length) < 0) abort();
    close(file);
  }
}

static roost_status echo(void *instance, roost_task *task) {
  (void)instance;
  host->set_result(task, info_of(task).params);
  return ROOST_OK;
}

// Params: how many milliseconds to take. Ends early when asked to.
static roost_status nap(void *instance, roost_task *task) {
  (void)instance;
  note("nap", task);
  char text[32] = {0};
  roost_task_info info = info_of(task);
  memcpy(text, info.params.data, info.params.length < 31 ? info.params.length : 31);
  int whole = atoi(text), left = whole;
  while (left > 0) {
    if (host->stop_requested(task)) return ROOST_CANCELLED;
    host->progress(task, 1.0 - (double)left / whole, roost_text("napping"));
    usleep(5000);
    left -= 5;
  }
  host->set_result(task, roost_text("\"rested\""));
  return ROOST_OK;
}

// Params "wait": waits until a file beside the journal is there, whatever it is asked meanwhile. Other params come back at once.
static roost_status gate(void *instance, roost_task *task) {
  (void)instance;
  roost_task_info info = info_of(task);
  if (info.params.length == 6 && memcmp(info.params.data, "\"wait\"", 6) == 0) {
    host->progress(task, 0.5, roost_text("waiting"));
    note("gate", task);
    char file[sizeof journal + 8];
    snprintf(file, sizeof file, "%s.open", journal);
    while (access(file, F_OK) != 0) usleep(5000);
  }
  host->set_result(task, info.params);
  return ROOST_OK;
}

static roost_status fail(void *instance, roost_task *task) {
  (void)instance;
  roost_error error = {.size = sizeof error, .code = 7, .message = roost_text("on purpose"), .detail = roost_text("{\"a\":1}")};
  host->set_error(task, &error);
  return ROOST_FAILED;
}

static roost_status reject(void *instance, roost_task *task) {
  (void)instance;
  roost_error error = {.size = sizeof error, .message = roost_text("these params can never work")};
  host->set_error(task, &error);
  return ROOST_REJECTED;
}

static roost_status detach(void *instance, roost_task *task) {
  (void)instance;
  (void)task;
  return ROOST_DETACHED;
}

static roost_status garbage(void *instance, roost_task *task) {
  (void)instance;
  host->set_result(task, roost_text("{not json"));
  return ROOST_OK;
}

static roost_status flood(void *instance, roost_task *task) {
  (void)instance;
  uint64_t size = 6u << 20;
  char *text = malloc(size);
  memset(text, 'x', size);
  text[0] = text[size - 1] = '"';
  host->set_result(task, (roost_bytes){text, size});
  free(text);
  return ROOST_OK;
}

static roost_status written(void *instance, roost_task *task, const roost_outcome *outcome) {
  (void)instance;
  note(outcome->status == ROOST_OK ? "completed" : "failed", task);
  return ROOST_OK;
}

// Fails the first time it is called in a process.
static roost_status stubborn(void *instance, roost_task *task, const roost_outcome *outcome) {
  (void)instance;
  (void)outcome;
  static int calls;
  note("tried", task);
  return __atomic_fetch_add(&calls, 1, __ATOMIC_SEQ_CST) == 0 ? ROOST_FAILED : ROOST_OK;
}

static roost_status register_exports(const roost_host *h, roost_registry *registry) {
  static const struct {
    const char *name;
    roost_status (*run)(void *, roost_task *);
  } executors[] = {{"echo", echo},     {"nap", nap},         {"fail", fail},  {"reject", reject},
                   {"detach", detach}, {"garbage", garbage}, {"flood", flood},
                   {"gate", gate}};
  for (size_t i = 0; i < sizeof executors / sizeof *executors; i++) {
    roost_executor executor = {.size = sizeof executor, .name = roost_text(executors[i].name), .run = executors[i].run};
    h->add_executor(registry, &executor);
  }
  roost_handler handler = {.size = sizeof handler, .name = roost_text("written"), .handle = written};
  h->add_callback(registry, &handler);
  h->add_exception_handler(registry, &handler);
  roost_handler hard = {.size = sizeof hard, .name = roost_text("stubborn"), .handle = stubborn};
  return h->add_callback(registry, &hard);
}

// Settings: {"journal": PATH}; anything else is refused.
static roost_status create(const roost_host *h, roost_bytes settings, void **instance, char *message, uint32_t capacity) {
  host = h;
  *instance = journal;
  const char *start = memmem(settings.data, settings.length, "\"journal\":", 10);
  const char *quote = start ? memchr(start + 10, '"', (size_t)(settings.data + settings.length - start - 10)) : NULL;
  const char *end = quote ? memchr(quote + 1, '"', (size_t)(settings.data + settings.length - quote - 1)) : NULL;
  if (!end || end - quote - 1 >= (long)sizeof journal) {
    snprintf(message, capacity, "settings.journal must be the path of a file");
    return ROOST_REJECTED;
  }
  memcpy(journal, quote + 1, (size_t)(end - quote - 1));
  journal[end - quote - 1] = 0;
  return ROOST_OK;
}

static const roost_plugin plugin = {.size = sizeof plugin,
                                    .name = {"workbench", 9},
                                    .version = {"1.0.0", 5},
                                    .toolchain = {"cc", 2},
                                    .register_exports = register_exports,
                                    .create = create};

const roost_plugin *roost_plugin_v1(const roost_host *h) {
  (void)h;
  return &plugin;
}
