// SPDX-License-Identifier: Apache-2.0
// What the tests of the host need of a plugin: executors that behave in one simple way each, and handlers that write down
// every call in a file.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "roost_plugin.h"

#ifdef BUILD
// Builds of one source that differ in their bytes.
__attribute__((used)) static const int build = BUILD;
#endif

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

// Params: {"n": NUMBER, …}. Writes down that it begins, takes some milliseconds, seldom 200, and answers its params.
static roost_status ledger(void *instance, roost_task *task) {
  (void)instance;
  roost_task_info info = info_of(task);
  char text[32] = {0};
  int number = 0;
  note("ran", task);
  memcpy(text, info.params.data, info.params.length < 31 ? info.params.length : 31);
  sscanf(text, "{\"n\": %d", &number);
  usleep(1000u * (unsigned)(number % 50 ? number % 10 : 200));
  host->set_result(task, info.params);
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

static int64_t number_of(const roost_task *task) {
  char text[32] = {0};
  roost_task_info info = info_of(task);
  memcpy(text, info.params.data, info.params.length < 31 ? info.params.length : 31);
  return atoll(text);
}

static int gate_is_open(void) {
  char file[sizeof journal + 8];
  snprintf(file, sizeof file, "%s.open", journal);
  return access(file, F_OK) == 0;
}

static roost_status failure(roost_task *task, const char *message, uint32_t flags, int64_t retry_after) {
  roost_error error = {.size = sizeof error, .flags = flags, .retry_after = retry_after, .message = roost_text(message)};
  host->set_error(task, &error);
  return ROOST_FAILED;
}

// Params: how many attempts fail before one succeeds.
static roost_status flaky(void *instance, roost_task *task) {
  (void)instance;
  note("flaky", task);
  return info_of(task).attempt <= (uint32_t)number_of(task) ? failure(task, "not yet", 0, 0) : ROOST_OK;
}

static roost_status fatal(void *instance, roost_task *task) {
  (void)instance;
  return failure(task, "never again", ROOST_NOT_RETRYABLE, 0);
}

// Params: the delay that the first attempt asks for, in ms.
static roost_status later(void *instance, roost_task *task) {
  (void)instance;
  host->progress(task, 0.5, roost_text("first"));
  return info_of(task).attempt == 1 ? failure(task, "come back later", 0, number_of(task)) : ROOST_OK;
}

// Reports progress in its first attempt only, and runs until it is asked to stop.
static roost_status fading(void *instance, roost_task *task) {
  (void)instance;
  if (info_of(task).attempt == 1) host->progress(task, 0.75, roost_text("nearly there"));
  while (!host->stop_requested(task)) usleep(2000);
  return ROOST_CANCELLED;
}

static roost_status facts(void *instance, roost_task *task) {
  (void)instance;
  roost_task_info info = info_of(task);
  char text[128];
  snprintf(text, sizeof text, "{\"attempt\":%u,\"maxAttempts\":%u,\"allowed\":%lld}", info.attempt, info.max_attempts,
           info.deadline ? (long long)(info.deadline - info.created_at) : 0LL);
  host->set_result(task, roost_text(text));
  return ROOST_OK;
}

// Params: how many lines to log; the last one is long.
static roost_status chatter(void *instance, roost_task *task) {
  (void)instance;
  int64_t count = number_of(task);
  char line[3000];
  for (int64_t i = 1; i < count; i++) {
    snprintf(line, sizeof line, "line %lld", (long long)i);
    host->log(host, i % 2 ? ROOST_LOG_INFO : ROOST_LOG_WARNING, task, roost_text(line));
  }
  host->log(host, ROOST_LOG_DEBUG, task, roost_text("for developers"));
  memset(line, 'x', sizeof line);
  host->log(host, ROOST_LOG_ERROR, task, (roost_bytes){line, sizeof line});
  return ROOST_OK;
}

// Params: how often to report progress.
static roost_status eager(void *instance, roost_task *task) {
  (void)instance;
  int64_t count = number_of(task);
  for (int64_t i = 0; i < count; i++) host->progress(task, (double)i / (double)count, roost_text("on its way"));
  return ROOST_OK;
}

// Another thread finishes it: when it is asked to stop, or when the gate opens.
static void *finish_later(void *argument) {
  roost_task *task = argument;
  while (!host->stop_requested(task)) {
    if (gate_is_open()) {
      host->set_result(task, roost_text("\"finished\""));
      host->finish(task, ROOST_OK);
      return NULL;
    }
    usleep(2000);
  }
  host->finish(task, ROOST_CANCELLED);
  return NULL;
}

static roost_status pend(void *instance, roost_task *task) {
  (void)instance;
  note("pend", task);
  pthread_t thread;
  if (pthread_create(&thread, NULL, finish_later, task) != 0) return ROOST_FAILED;
  pthread_detach(thread);
  return ROOST_PENDING;
}

// Nobody but cancel() finishes it.
static roost_status bell(void *instance, roost_task *task) {
  (void)instance;
  note("bell", task);
  return host->stop_requested(task) ? ROOST_CANCELLED : ROOST_PENDING;
}

static void ring(void *instance, roost_task *task) {
  (void)instance;
  note("ring", task);
  host->finish(task, ROOST_CANCELLED);
}

// Runs until its cancel() is called, which blocks until the gate opens, against the rules.
static int is_jammed;

static roost_status jammed(void *instance, roost_task *task) {
  (void)instance;
  note("jammed", task);
  while (!__atomic_load_n(&is_jammed, __ATOMIC_SEQ_CST)) usleep(2000);
  return ROOST_CANCELLED;
}

static void jam(void *instance, roost_task *task) {
  (void)instance;
  __atomic_store_n(&is_jammed, 1, __ATOMIC_SEQ_CST);
  note("jam", task);
  while (!gate_is_open()) usleep(2000);
}

// Params "wait": waits until a file beside the journal is there, whatever it is asked meanwhile. Other params come back at once.
static roost_status gate(void *instance, roost_task *task) {
  (void)instance;
  roost_task_info info = info_of(task);
  if (info.params.length == 6 && memcmp(info.params.data, "\"wait\"", 6) == 0) {
    host->progress(task, 0.5, roost_text("waiting"));
    note("gate", task);
    while (!gate_is_open()) usleep(5000);
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

static roost_status useless(void *instance, roost_task *task, const roost_outcome *outcome) {
  (void)instance;
  (void)outcome;
  note("useless", task);
  return failure(task, "of no use", 0, 0);
}

static roost_status register_exports(const roost_host *h, roost_registry *registry) {
  static const struct {
    const char *name;
    roost_status (*run)(void *, roost_task *);
    void (*cancel)(void *, roost_task *);
  } executors[] = {{"echo", echo, NULL},       {"nap", nap, NULL},     {"fail", fail, NULL},       {"reject", reject, NULL},
                   {"detach", detach, NULL},   {"gate", gate, NULL},   {"garbage", garbage, NULL}, {"flood", flood, NULL},
                   {"flaky", flaky, NULL},     {"fatal", fatal, NULL}, {"later", later, NULL},     {"facts", facts, NULL},
                   {"chatter", chatter, NULL}, {"eager", eager, NULL}, {"pend", pend, NULL},       {"bell", bell, ring},
                   {"jammed", jammed, jam},       {"fading", fading, NULL}, {"ledger", ledger, NULL}};
  for (size_t i = 0; i < sizeof executors / sizeof *executors; i++) {
    roost_executor executor = {.size = sizeof executor, .name = roost_text(executors[i].name), .run = executors[i].run,
                               .cancel = executors[i].cancel};
    h->add_executor(registry, &executor);
  }
  roost_handler handler = {.size = sizeof handler, .name = roost_text("written"), .handle = written};
  h->add_callback(registry, &handler);
  h->add_exception_handler(registry, &handler);
  roost_handler hard = {.size = sizeof hard, .name = roost_text("stubborn"), .handle = stubborn};
  roost_handler hopeless = {.size = sizeof hopeless, .name = roost_text("useless"), .handle = useless};
  h->add_callback(registry, &hopeless);
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
