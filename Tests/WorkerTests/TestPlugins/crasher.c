// SPDX-License-Identifier: Apache-2.0
// A plugin that does what no plugin should.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "roost_plugin.h"

static const roost_host *host;

static roost_status segv(void *instance, roost_task *task) {
  (void)instance;
  (void)task;
  *(volatile int *)8 = 1;
  return ROOST_OK;
}

static __attribute__((noinline)) int overflow_from(volatile char *above) {
  volatile char here[4096];
  here[0] = above[0];
  return here[0] ? overflow_from(here) + here[0] : 0;
}
static roost_status overflow(void *instance, roost_task *task) {
  (void)instance;
  (void)task;
  volatile char first = 1;
  return overflow_from(&first) ? ROOST_OK : ROOST_FAILED;
}

static roost_status leave(void *instance, roost_task *task) {
  (void)instance;
  (void)task;
  exit(3);
}

// Takes crashes for itself, as crash reporters do.
static void mine(int signal) {
  (void)signal;
  _exit(77);
}
static roost_status takeover(void *instance, roost_task *task) {
  (void)instance;
  (void)task;
  signal(SIGSEGV, mine);
  return ROOST_OK;
}

// Runs until it is asked to stop; then cancel() crashes.
static roost_status patient(void *instance, roost_task *task) {
  (void)instance;
  while (!host->stop_requested(task)) usleep(1000);
  usleep(10000000);
  return ROOST_CANCELLED;
}
static void crash(void *instance, roost_task *task) { segv(instance, task); }

// Which of the worker's own descriptors a program would inherit.
static roost_status descriptors(void *instance, roost_task *task) {
  (void)instance;
  char text[32] = "[";
  for (int fd = 3; fd <= 5; fd++) {
    int flags = fcntl(fd, F_GETFD);
    strcat(text, flags >= 0 && !(flags & FD_CLOEXEC) ? "true" : "false");
    strcat(text, fd < 5 ? "," : "]");
  }
  host->set_result(task, roost_text(text));
  return ROOST_OK;
}

static roost_status burst(void *instance, roost_task *task, const roost_outcome *outcome) {
  (void)outcome;
  return segv(instance, task);
}

static roost_status register_exports(const roost_host *h, roost_registry *registry) {
  static const struct {
    const char *name;
    roost_status (*run)(void *, roost_task *);
    void (*cancel)(void *, roost_task *);
  } executors[] = {{"segv", segv, NULL},         {"overflow", overflow, NULL}, {"leave", leave, NULL},
                   {"takeover", takeover, NULL}, {"patient", patient, crash},  {"descriptors", descriptors, NULL}};
  for (size_t i = 0; i < sizeof executors / sizeof *executors; i++) {
    roost_executor executor = {.size = sizeof executor, .name = roost_text(executors[i].name), .run = executors[i].run,
                               .cancel = executors[i].cancel};
    h->add_executor(registry, &executor);
  }
  roost_handler handler = {.size = sizeof handler, .name = roost_text("burst"), .handle = burst};
  return h->add_callback(registry, &handler);
}

static roost_status create(const roost_host *h, roost_bytes settings, void **instance, char *message, uint32_t capacity) {
  (void)settings;
  (void)message;
  (void)capacity;
  host = h;
  *instance = &host;
  return ROOST_OK;
}

static const roost_plugin plugin = {.size = sizeof plugin,
                                    .name = {"crasher", 7},
                                    .version = {"1.0.0", 5},
                                    .toolchain = {"cc", 2},
                                    .register_exports = register_exports,
                                    .create = create};

const roost_plugin *roost_plugin_v1(const roost_host *h) {
  (void)h;
  return &plugin;
}
