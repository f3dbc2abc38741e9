// SPDX-License-Identifier: Apache-2.0
// The executor that scripts/bench runs: it answers a task with its own params.
#include <stdlib.h>

#include "roost_plugin.h"

struct echo {
  const roost_host *host;
};

static roost_status run(void *instance, roost_task *task) {
  const struct echo *echo = instance;
  roost_task_info info = {.size = sizeof info};
  echo->host->task_info(task, &info);
  return echo->host->set_result(task, info.params);
}

static roost_status register_exports(const roost_host *host, roost_registry *registry) {
  roost_executor executor = {.size = sizeof executor, .name = roost_text("echo"), .run = run};
  return host->add_executor(registry, &executor);
}

static roost_status create(const roost_host *host, roost_bytes settings, void **instance, char *message,
                           uint32_t capacity) {
  (void)settings, (void)message, (void)capacity;
  struct echo *echo = malloc(sizeof *echo);
  if (!echo) return ROOST_FAILED;
  echo->host = host;
  *instance = echo;
  return ROOST_OK;
}

static void destroy(void *instance) { free(instance); }

#define TEXT(literal) {literal, sizeof literal - 1}

static const roost_plugin plugin = {.size = sizeof plugin,
                                    .name = TEXT("bench"),
                                    .version = TEXT("1.0.0"),
                                    .toolchain = TEXT("c"),
                                    .register_exports = register_exports,
                                    .create = create,
                                    .destroy = destroy};

const roost_plugin *roost_plugin_v1(const roost_host *host) {
  (void)host;  // create() brings the one to keep
  return &plugin;
}
