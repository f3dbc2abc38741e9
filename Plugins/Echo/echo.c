// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "echo.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LARGEST (64u << 20)  // bytes of a result

// One per name that config gives this file, because each create() may bring another host table.
struct echo {
  const roost_host *host;
  long sleep_millis;    // of `sleep`
  roost_bytes result;   // what every task is answered with; no bytes: its own params
};

static roost_status answer(const struct echo *echo, roost_task *task) {
  if (echo->result.length > 0) return echo->host->set_result(task, echo->result);
  roost_task_info info = {.size = sizeof info};
  echo->host->task_info(task, &info);
  return echo->host->set_result(task, info.params);
}

static roost_status run_echo(void *instance, roost_task *task) { return answer(instance, task); }

static roost_status run_sleep(void *instance, roost_task *task) {
  const struct echo *echo = instance;
  struct timespec left = {.tv_sec = echo->sleep_millis / 1000, .tv_nsec = echo->sleep_millis % 1000 * 1000000};
  while (nanosleep(&left, &left) != 0)
    if (echo->host->stop_requested(task)) return ROOST_CANCELLED;
  return answer(echo, task);
}

static roost_status register_exports(const roost_host *host, roost_registry *registry) {
  roost_executor echo = {.size = sizeof echo, .name = roost_text("echo"), .run = run_echo};
  roost_executor slow = {.size = sizeof slow, .name = roost_text("sleep"), .run = run_sleep};
  roost_status status = host->add_executor(registry, &echo);
  return status == ROOST_OK ? host->add_executor(registry, &slow) : status;
}

// The whole number that a member of a flat object has; -1: there is none, -2: it is something else.
static long number(roost_bytes object, const char *quoted_name) {
  const char *at = memmem(object.data, object.length, quoted_name, strlen(quoted_name));
  if (!at) return -1;
  const char *end = object.data + object.length;
  at += strlen(quoted_name);
  while (at < end && (isspace((unsigned char)*at) || *at == ':')) at++;
  if (at == end || !isdigit((unsigned char)*at)) return -2;
  long value = 0;
  while (at < end && isdigit((unsigned char)*at) && value <= LARGEST) value = value * 10 + (*at++ - '0');
  return value <= LARGEST ? value : -2;
}

static roost_status refuse(char *message, uint32_t capacity, const char *why) {
  snprintf(message, capacity, "%s", why);
  return ROOST_REJECTED;
}

// Settings: "result", the bytes of every result (a JSON string; absent: the task's params), "sleep", the milliseconds of `sleep`.
static roost_status create(const roost_host *host, roost_bytes settings, void **instance, char *message,
                           uint32_t capacity) {
  long bytes = number(settings, "\"result\""), millis = number(settings, "\"sleep\"");
  if (bytes == -2 || bytes == 0) return refuse(message, capacity, "result is a number of bytes from 1 to 67108864");
  if (millis == -2) return refuse(message, capacity, "sleep is a number of milliseconds up to 67108864");
  struct echo *echo = malloc(sizeof *echo + (bytes > 0 ? (size_t)bytes : 0));
  if (!echo) return ROOST_FAILED;
  *echo = (struct echo){.host = host, .sleep_millis = millis < 0 ? 50 : millis};
  if (bytes > 0) {
    char *text = (char *)(echo + 1);
    memset(text, 'x', (size_t)bytes);
    // One byte has no room for quotes.
    text[0] = bytes == 1 ? '0' : '"';
    if (bytes > 1) text[bytes - 1] = '"';
    echo->result = (roost_bytes){text, (uint64_t)bytes};
  }
  *instance = echo;
  return ROOST_OK;
}

static void destroy(void *instance) { free(instance); }

#define TEXT(literal) {literal, sizeof literal - 1}

static const roost_plugin plugin = {.size = sizeof plugin,
                                    .name = TEXT("echo"),
                                    .version = TEXT("1.0.0"),
                                    .toolchain = TEXT("c"),
                                    .register_exports = register_exports,
                                    .create = create,
                                    .destroy = destroy};

const roost_plugin *roost_plugin_v1(const roost_host *host) {
  (void)host;  // create() brings the one to keep
  return &plugin;
}
