// SPDX-License-Identifier: Apache-2.0
#include "notify.h"

#include <stdio.h>
#include <stdlib.h>

#define LINE 2048  // bytes of a line; a longer error message is cut

// One per name that config gives this file, because each create() may bring another host table.
struct notify {
  const roost_host *host;
};

static const char *name_of(uint32_t kind) {
  switch (kind) {
    case ROOST_KIND_TIMEOUT: return "timeout";
    case ROOST_KIND_CRASH: return "crash";
    case ROOST_KIND_MEMORY: return "memory";
    case ROOST_KIND_REJECTED: return "rejected";
    case ROOST_KIND_EXPIRED: return "expired";
    case ROOST_KIND_UPSTREAM: return "upstream";
    default: return "exception";
  }
}

// Puts text behind what is there, as one line whatever the text contains; answers the new length, less than LINE.
static size_t append(char *line, size_t length, roost_bytes text) {
  for (uint64_t i = 0; i < text.length && length < LINE - 1; i++) {
    unsigned char byte = (unsigned char)text.data[i];
    line[length++] = byte < 0x20 || byte == 0x7f ? ' ' : (char)byte;
  }
  return length;
}

static roost_status log_outcome(void *instance, roost_task *task, const roost_outcome *outcome) {
  const struct notify *notify = instance;
  roost_task_info info = {.size = sizeof info};
  notify->host->task_info(task, &info);

  int completed = outcome->status == ROOST_OK;
  char line[LINE];
  size_t length = append(line, 0, roost_text("task "));
  length = append(line, length, info.id);
  length = append(line, length, roost_text(" of "));
  length = append(line, length, info.type);
  length = append(line, length, roost_text(completed ? " completed" : " failed: "));
  if (!completed) {
    char code[32] = "";
    if (outcome->code != 0) snprintf(code, sizeof code, " %ld", (long)outcome->code);
    length = append(line, length, roost_text(name_of(outcome->kind)));
    length = append(line, length, roost_text(code));
    if (outcome->message.length > 0) length = append(line, length, roost_text(": "));
    length = append(line, length, outcome->message);
  }
  notify->host->log(notify->host, completed ? ROOST_LOG_INFO : ROOST_LOG_ERROR, task, (roost_bytes){line, length});
  return ROOST_OK;
}

static roost_status register_exports(const roost_host *host, roost_registry *registry) {
  roost_handler handler = {.size = sizeof handler, .name = roost_text("log"), .handle = log_outcome};
  roost_status status = host->add_callback(registry, &handler);
  return status == ROOST_OK ? host->add_exception_handler(registry, &handler) : status;
}

static roost_status create(const roost_host *host, roost_bytes settings, void **instance, char *message,
                           uint32_t capacity) {
  (void)settings;  // there are none
  struct notify *notify = malloc(sizeof *notify);
  if (!notify) {
    if (capacity > 0) snprintf(message, capacity, "out of memory");
    return ROOST_FAILED;
  }
  notify->host = host;
  *instance = notify;
  return ROOST_OK;
}

static void destroy(void *instance) { free(instance); }

#define TEXT(literal) {literal, sizeof literal - 1}

static const roost_plugin plugin = {.size = sizeof plugin,
                                    .name = TEXT("notify"),
                                    .version = TEXT("1.0.0"),
                                    .toolchain = TEXT("c"),
                                    .register_exports = register_exports,
                                    .create = create,
                                    .destroy = destroy};

const roost_plugin *roost_plugin_v1(const roost_host *host) {
  (void)host;  // create() brings the one to keep
  return &plugin;
}
