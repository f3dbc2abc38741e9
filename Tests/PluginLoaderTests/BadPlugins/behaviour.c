// SPDX-License-Identifier: Apache-2.0
// One executor for each way to use or misuse the host. The functions at the end are called by the test itself, which loads
// a copy of its own, so that no two tests share these variables.
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "roost_plugin.h"

static const roost_host *the_host; /* one plugin name per copy, but for the test that has two and does not use it */
static roost_registry *kept_registry;
static roost_task *volatile held;
static volatile int32_t seen[16];
static volatile int cancels, stops, destroys, cancel_done;
static sem_t entered, gate;
static char outcome_text[1024];

typedef struct state {
  const roost_host *host;
  char settings[256];
} state;

static roost_bytes bytes(const char *data, uint64_t length) {
  roost_bytes value = {data, length};
  return value;
}

static roost_task_info info_of(const roost_host *host, roost_task *task) {
  roost_task_info info = {0};
  info.size = sizeof info;
  host->task_info(task, &info);
  return info;
}

static int number(const roost_host *host, roost_task *task) {
  char text[32] = {0};
  roost_bytes params = info_of(host, task).params;
  memcpy(text, params.data, params.length < 31 ? params.length : 31);
  return atoi(text);
}

static roost_status echo(void *instance, roost_task *task) {
  const roost_host *host = ((state *)instance)->host;
  return host->set_result(task, info_of(host, task).params);
}

static roost_status settings(void *instance, roost_task *task) {
  state *self = instance;
  return self->host->set_result(task, roost_text(self->settings));
}

static roost_status facts(void *instance, roost_task *task) {
  const roost_host *host = ((state *)instance)->host;
  roost_task_info info = info_of(host, task);
  char json[1024];
  snprintf(json, sizeof json, "[\"%.*s\",\"%.*s\",\"%.*s\",\"%.*s\",%.*s,%u,%u,%u,%lld,%lld,\"%s\",%d,%d]",
           (int)info.id.length, info.id.data, (int)info.type.length, info.type.data, (int)info.trace.length,
           info.trace.data ? info.trace.data : "", (int)info.tenant.length, info.tenant.data ? info.tenant.data : "",
           (int)info.params.length, info.params.data, info.attempt, info.max_attempts, info.crashes,
           (long long)info.created_at, (long long)info.deadline, (const char *)info.data, info.size == sizeof info,
           info.params.data == info_of(host, task).params.data);
  return host->set_result(task, roost_text(json));
}

static roost_status info_sizes(void *instance, roost_task *task) {
  const roost_host *host = ((state *)instance)->host;
  struct {
    roost_task_info today;
    uint64_t later[3];
  } info;
  memset(&info, 0xaa, sizeof info);
  info.today.size = 0; /* forgotten */
  host->task_info(task, &info.today);
  seen[0] = (int32_t)info.today.size, seen[1] = (int32_t)info.today.attempt;
  memset(&info, 0xaa, sizeof info);
  info.today.size = 64; /* too small */
  host->task_info(task, &info.today);
  seen[2] = (int32_t)info.today.size, seen[3] = (int32_t)info.today.attempt;
  seen[4] = ((unsigned char *)&info)[63], seen[5] = ((unsigned char *)&info)[64];
  memset(&info, 0xaa, sizeof info);
  info.today.size = sizeof info; /* of a later header */
  host->task_info(task, &info.today);
  seen[6] = (int32_t)info.today.size, seen[7] = (int32_t)info.today.attempt;
  seen[8] = info.later[0] == 0 && info.later[2] == 0;
  host->task_info(task, NULL);
  memset(&info, 0xaa, sizeof info); /* never set */
  host->task_info(task, &info.today);
  seen[9] = (int32_t)info.today.size, seen[10] = (int32_t)info.today.attempt, seen[11] = info.later[0] != 0;
  return ROOST_OK;
}

static roost_status status(void *instance, roost_task *task) {
  return number(((state *)instance)->host, task);
}

static roost_status error(void *instance, roost_task *task) {
  const roost_host *host = ((state *)instance)->host;
  struct {
    roost_error today;
    uint64_t later[2];
  } error = {{0}, {~0ull, ~0ull}};
  error.today.size = sizeof error;
  error.today.message = roost_text("first");
  host->set_error(task, &error.today);
  error.today.code = -12;
  error.today.flags = ROOST_NOT_RETRYABLE | 0x80000000u;
  error.today.retry_after = 1500;
  error.today.message = bytes("caf\xe9 \xf0\x9f\x98", 8);
  int how = number(host, task);
  error.today.detail = how == 0 ? bytes(NULL, 0) : how == 1 ? roost_text("{\"a\": 01}") : roost_text(" {\"a\": 1 }");
  host->set_error(task, &error.today);
  error.today.size = sizeof(roost_error) - 8; /* refused: the call before it counts */
  host->set_error(task, &error.today);
  host->set_error(task, NULL);
  return ROOST_FAILED;
}

static roost_status delay(void *instance, roost_task *task) {
  roost_error error = {0};
  error.size = sizeof error;
  error.retry_after = number(((state *)instance)->host, task) < 0 ? -5 : INT64_MAX;
  ((state *)instance)->host->set_error(task, &error);
  return ROOST_FAILED;
}

static roost_status result_bad(void *instance, roost_task *task) {
  const roost_host *host = ((state *)instance)->host;
  seen[0] = host->set_result(task, roost_text("1"));
  seen[1] = host->set_result(task, roost_text("{\"a\":}"));
  return ROOST_OK;
}

static roost_status result_recovers(void *instance, roost_task *task) {
  const roost_host *host = ((state *)instance)->host;
  char large[300];
  memset(large, '1', sizeof large);
  seen[0] = host->set_result(task, bytes(large, sizeof large));
  if (number(host, task) == 0) return ROOST_OK;
  seen[1] = host->set_result(task, bytes(large, 3));
  large[0] = 'x'; /* it was copied */
  return ROOST_OK;
}

static roost_status result_empty(void *instance, roost_task *task) {
  const roost_host *host = ((state *)instance)->host;
  seen[0] = host->set_result(task, bytes(NULL, 0));
  seen[1] = host->set_result(task, bytes(NULL, 5));
  seen[2] = host->set_result(task, bytes("1", 0));
  return ROOST_OK;
}

static roost_status progress(void *instance, roost_task *task) {
  const roost_host *host = ((state *)instance)->host;
  host->progress(task, NAN, bytes(NULL, 0));
  host->progress(task, -1, bytes("", 0));
  host->progress(task, 7, bytes("a\xff""b", 3));
  host->progress(task, 0.25, roost_text("quarter"));
  host->progress(task, INFINITY, bytes(NULL, 3));
  return ROOST_OK;
}

static roost_status logs(void *instance, roost_task *task) {
  const roost_host *host = ((state *)instance)->host;
  for (uint32_t level = 0; level < 4; level++) host->log(host, level, task, roost_text("of the task"));
  host->log(host, 99, task, bytes("\xc3", 1));
  host->log(host, ROOST_LOG_ERROR, NULL, roost_text("of no task"));
  host->log(host, ROOST_LOG_INFO, NULL, bytes(NULL, 0));
  return ROOST_OK;
}

static roost_status record(void *instance, roost_task *task) {
  const roost_host *host = ((state *)instance)->host;
  roost_bytes json = {"x", 1}, again;
  seen[0] = host->record(task, &json);
  seen[1] = (int32_t)json.length, seen[2] = json.data == NULL;
  host->record(task, &again);
  seen[3] = again.data == json.data;
  return json.length ? host->set_result(task, json) : ROOST_OK;
}

static roost_status pending(void *instance, roost_task *task) {
  (void)instance;
  held = task;
  return ROOST_PENDING;
}

static roost_status keep(void *instance, roost_task *task) {
  (void)instance;
  held = task;
  return ROOST_OK;
}

/* finish() before run() has returned, twice; what comes after it changes nothing. */
static roost_status early(void *instance, roost_task *task) {
  const roost_host *host = ((state *)instance)->host;
  int last = number(host, task);
  host->set_result(task, roost_text("1"));
  host->finish(task, ROOST_OK);
  host->finish(task, ROOST_FAILED);
  seen[0] = host->set_result(task, roost_text("2"));
  seen[1] = (int32_t)info_of(host, task).params.length;
  return last;
}

static void *finish_soon(void *argument) {
  roost_task *task = argument;
  roost_task_info info = info_of(the_host, task);
  the_host->set_result(task, info.params);
  the_host->finish(task, ROOST_OK);
  return NULL;
}

static roost_status threaded(void *instance, roost_task *task) {
  pthread_t thread;
  (void)instance;
  if (pthread_create(&thread, NULL, finish_soon, task) != 0) return ROOST_FAILED;
  pthread_detach(thread);
  return ROOST_PENDING;
}

static roost_status blocking(void *instance, roost_task *task) {
  const roost_host *host = ((state *)instance)->host;
  held = task;
  sem_post(&entered);
  while (sem_wait(&gate) != 0) {
  }
  seen[0] = host->stop_requested(task);
  return seen[0] ? ROOST_CANCELLED : ROOST_OK;
}

static void opens_gate(void *instance, roost_task *task) {
  const roost_host *host = ((state *)instance)->host;
  cancels++;
  seen[1] = host->stop_requested(task);
  seen[2] = (int32_t)info_of(host, task).params.length;
  sem_post(&gate);
}

static void opens_gate_and_lingers(void *instance, roost_task *task) {
  opens_gate(instance, task);
  struct timespec moment = {0, 50000000};
  nanosleep(&moment, NULL);
  seen[3] = (int32_t)info_of(((state *)instance)->host, task).params.length;
  cancel_done = 1;
}

static void finishes(void *instance, roost_task *task) {
  cancels++;
  ((state *)instance)->host->finish(task, ROOST_CANCELLED);
  seen[3] = (int32_t)info_of(((state *)instance)->host, task).params.length;
  cancel_done = 1;
}

static roost_status note(void *instance, roost_task *task, const roost_outcome *outcome) {
  const roost_host *host = ((state *)instance)->host;
  roost_task_info info = info_of(host, task);
  snprintf(outcome_text, sizeof outcome_text, "%u %d %u %d [%.*s] [%.*s] [%.*s] %lld %lld %s",
           outcome->size == sizeof *outcome, outcome->status, outcome->kind, outcome->code,
           (int)outcome->message.length, outcome->message.data ? outcome->message.data : "",
           (int)outcome->detail.length, outcome->detail.data ? outcome->detail.data : "", (int)outcome->result.length,
           outcome->result.data ? outcome->result.data : "", (long long)outcome->started_at,
           (long long)outcome->finished_at, (const char *)info.data);
  held = task;
  seen[0] = host->set_result(task, roost_text("1"));
  host->progress(task, 0.5, roost_text("half"));
  host->finish(task, ROOST_FAILED);
  host->log(host, ROOST_LOG_INFO, task, roost_text("handled"));
  roost_error error = {0};
  error.size = sizeof error;
  error.message = roost_text("handler says no");
  host->set_error(task, &error);
  return outcome->code;
}

static roost_status create(const roost_host *host, roost_bytes settings, void **instance, char *message,
                           uint32_t capacity) {
  state *self = calloc(1, sizeof *self);
  self->host = host;
  the_host = host;
  memcpy(self->settings, settings.data, settings.length < 255 ? settings.length : 255);
  if (strstr(self->settings, "refuse")) {
    snprintf(message, capacity, "endpoint is no URL \xff");
    free(self);
    return ROOST_REJECTED;
  }
  if (strstr(self->settings, "overflow")) {
    memset(message, 'm', capacity); /* without the NUL */
    free(self);
    return ROOST_PENDING;
  }
  if (strstr(self->settings, "silent")) {
    free(self);
    return ROOST_FAILED;
  }
  *instance = self;
  return ROOST_OK;
}

static roost_status start(void *instance, char *message, uint32_t capacity) {
  if (!strstr(((state *)instance)->settings, "nostart")) return ROOST_OK;
  snprintf(message, capacity, "no connection");
  return ROOST_REJECTED;
}

static void stop(void *instance, int64_t deadline) {
  (void)instance;
  stops++;
  seen[8] = (int32_t)deadline;
}

static void destroy(void *instance) {
  destroys++;
  free(instance);
}

static roost_status register_exports(const roost_host *host, roost_registry *registry) {
  static const struct {
    const char *name;
    roost_status (*run)(void *, roost_task *);
    void (*cancel)(void *, roost_task *);
  } executors[] = {{"echo", echo, NULL},
                   {"settings", settings, NULL},
                   {"facts", facts, NULL},
                   {"info-sizes", info_sizes, NULL},
                   {"status", status, NULL},
                   {"error", error, NULL},
                   {"delay", delay, NULL},
                   {"result-bad", result_bad, NULL},
                   {"result-recovers", result_recovers, NULL},
                   {"result-empty", result_empty, NULL},
                   {"progress", progress, NULL},
                   {"logs", logs, NULL},
                   {"record", record, NULL},
                   {"pending", pending, finishes},
                   {"keep", keep, opens_gate},
                   {"early", early, NULL},
                   {"threaded", threaded, NULL},
                   {"blocking", blocking, opens_gate},
                   {"lingering", blocking, opens_gate_and_lingers}};
  kept_registry = registry;
  for (size_t i = 0; i < sizeof executors / sizeof *executors; i++) {
    char name[32]; /* gone when this returns: the host has copied it */
    snprintf(name, sizeof name, "%s", executors[i].name);
    roost_executor executor = {0};
    executor.size = sizeof executor;
    executor.name = roost_text(name);
    executor.params_schema = roost_text(i == 0 ? "{\"type\":\"object\"}" : NULL);
    executor.run = executors[i].run;
    executor.cancel = executors[i].cancel;
    executor.data = (void *)executors[i].name;
    if (host->add_executor(registry, &executor) != ROOST_OK) return ROOST_FAILED;
  }
  roost_handler handler = {0};
  handler.size = sizeof handler;
  handler.name = roost_text("note");
  handler.handle = note;
  handler.data = "data of callback";
  if (host->add_callback(registry, &handler) != ROOST_OK) return ROOST_FAILED;
  handler.data = "data of handler";
  return host->add_exception_handler(registry, &handler);
}

static const roost_plugin plugin = {sizeof plugin, 0,     {"behaviour", 9}, {"1.0.0", 5}, {"gcc", 3}, register_exports,
                                    create,        start, stop,             destroy,      NULL};

const roost_plugin *roost_plugin_v1(const roost_host *host) {
  sem_init(&entered, 0, 0);
  sem_init(&gate, 0, 0);
  seen[15] = host->size == sizeof *host && host->abi_minor == ROOST_ABI_MINOR && host->name.length == 5 &&
             host->version.length > 0 && host->extension(host, "roost.none/1") == NULL;
  return &plugin;
}

ROOST_EXPORT int32_t test_seen(int32_t index) { return seen[index]; }
ROOST_EXPORT int32_t test_count(int32_t which) {
  return which == 0 ? cancels : which == 1 ? stops : which == 2 ? destroys : cancel_done;
}
ROOST_EXPORT const char *test_outcome(void) { return outcome_text; }
ROOST_EXPORT uint64_t test_held(void) { return (uint64_t)held; }
ROOST_EXPORT void test_wait_entered(void) {
  while (sem_wait(&entered) != 0) {
  }
}
ROOST_EXPORT void test_open_gate(void) { sem_post(&gate); }
ROOST_EXPORT void test_finish(int32_t status) { the_host->finish(held, status); }
ROOST_EXPORT int32_t test_set_result(const char *json) { return the_host->set_result(held, roost_text(json)); }

/* Every function with a handle that is dead; what they answered is the bits of the sum. */
ROOST_EXPORT int32_t test_use_dead(uint64_t value) {
  roost_task *task = (roost_task *)value;
  roost_error error = {0};
  roost_bytes json = {"x", 1};
  roost_task_info info;
  error.size = sizeof error;
  memset(&info, 0xaa, sizeof info);
  info.size = sizeof info;
  the_host->task_info(task, &info);
  int zeroed = info.attempt == 0 && info.data == NULL && info.params.data == NULL && info.params.length == 0 &&
               info.deadline == 0;
  the_host->log(the_host, ROOST_LOG_INFO, task, roost_text("too late"));
  the_host->progress(task, 0.5, roost_text("too late"));
  the_host->set_error(task, &error);
  the_host->finish(task, ROOST_OK);
  return zeroed | (the_host->stop_requested(task) == 1) << 1 |
         (the_host->set_result(task, roost_text("1")) == ROOST_FAILED) << 2 |
         (the_host->record(task, &json) == ROOST_FAILED && json.length == 0) << 3;
}

ROOST_EXPORT int32_t test_register_late(void) {
  roost_executor executor = {0};
  executor.size = sizeof executor;
  executor.name = roost_text("late");
  executor.run = echo;
  return the_host->add_executor(kept_registry, &executor);
}
