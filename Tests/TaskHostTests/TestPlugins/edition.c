// SPDX-License-Identifier: Apache-2.0
// One plugin in several builds. EDITION: what its executors answer. DIES: a thread of it ends the process soon after the
// start. SLOW: making an instance takes a while. REFUSES: no settings please it.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "roost_plugin.h"

#ifndef EDITION
#define EDITION "1"
#endif

static const roost_host *host;

static roost_status answer(void *instance, roost_task *task) {
  (void)instance;
  host->set_result(task, roost_text(EDITION));
  return ROOST_OK;
}

// Waits until there is a file "open" in the worker's directory, or until it is to stop.
static roost_status hold(void *instance, roost_task *task) {
  while (access("open", F_OK) != 0) {
    if (host->stop_requested(task)) return ROOST_CANCELLED;
    usleep(5000);
  }
  return answer(instance, task);
}

static roost_status print(void *instance, roost_task *task) {
  dprintf(1, "edition %s says hello\nand says it twice", EDITION);
  dprintf(2, "a line that forges\x1b[2J\n");
  return answer(instance, task);
}

static roost_status add(const roost_host *h, roost_registry *registry, const char *name,
                        roost_status (*run)(void *, roost_task *)) {
  roost_executor executor;
  memset(&executor, 0, sizeof executor);
  executor.size = sizeof executor;
  executor.name = roost_text(name);
  executor.run = run;
  return h->add_executor(registry, &executor);
}

static roost_status register_exports(const roost_host *h, roost_registry *registry) {
#ifdef FEWER
  return add(h, registry, "answer", answer);
#endif
  if (add(h, registry, "answer", answer) != ROOST_OK || add(h, registry, "print", print) != ROOST_OK) return ROOST_FAILED;
  return add(h, registry, "hold", hold);
}

static void *die(void *nothing) {
  usleep(100000);
  abort();
  return nothing;
}

static roost_status create(const roost_host *h, roost_bytes settings, void **instance, char *message, uint32_t capacity) {
  (void)settings;
  (void)message;
  (void)capacity;
  (void)die;
  host = h;
  *instance = NULL;
#ifdef DIES
  pthread_t thread;
  if (pthread_create(&thread, NULL, die, NULL) != 0) return ROOST_FAILED;
#endif
#ifdef SLOW
  sleep(2);
#endif
#ifdef REFUSES
  snprintf(message, capacity, "nothing is good enough");
  return ROOST_REJECTED;
#endif
  return ROOST_OK;
}

ROOST_EXPORT const roost_plugin *roost_plugin_v1(const roost_host *h) {
  static roost_plugin plugin;
  (void)h;
  plugin.size = sizeof plugin;
  plugin.name = roost_text("edition");
  plugin.version = roost_text(EDITION ".0.0");
  plugin.toolchain = roost_text("cc");
  plugin.register_exports = register_exports;
  plugin.create = create;
  return &plugin;
}
