// SPDX-License-Identifier: Apache-2.0
// The least plugin; each -D makes it bad in one way.
#include "roost_plugin.h"

#ifndef ENTRY
#define ENTRY roost_plugin_v1
#endif
#ifndef ABI_MINOR
#define ABI_MINOR 0
#endif
#ifndef PLUGIN_SIZE
#define PLUGIN_SIZE sizeof(struct tomorrow)
#endif
#ifndef EXECUTOR_SIZE
#define EXECUTOR_SIZE sizeof(roost_executor)
#endif
#ifndef EXECUTOR_NAME
#define EXECUTOR_NAME "run"
#endif
#ifndef SCHEMA
#define SCHEMA ""
#endif
#ifndef RUN
#define RUN run
#endif
#ifndef CREATE
#define CREATE create
#endif
#ifndef REGISTER_STATUS
#define REGISTER_STATUS ROOST_OK
#endif

// What a later header may look like; as large as today's unless LARGER is set.
struct tomorrow {
  roost_plugin today;
#ifdef LARGER
  uint64_t later[4];
#endif
};

#ifdef UNDEFINED
int nobody_defines_this(void);
#endif
#ifdef DEPENDENCY
int from_the_dependency(void);
#endif

static roost_status run(void *instance, roost_task *task) {
  (void)instance, (void)task;
#ifdef UNDEFINED
  return nobody_defines_this();
#elif defined DEPENDENCY
  return from_the_dependency();
#else
  return ROOST_OK;
#endif
}

static roost_status create(const roost_host *host, roost_bytes settings, void **instance, char *message,
                           uint32_t capacity) {
  (void)host, (void)settings, (void)instance, (void)message, (void)capacity;
  return ROOST_OK;
}

static roost_status register_exports(const roost_host *host, roost_registry *registry) {
  struct {
    roost_executor today;
    uint64_t later[4];
  } executor = {{0}, {1, 2, 3, 4}};
  (void)create, (void)run;
  executor.today.size = EXECUTOR_SIZE;
  executor.today.name = roost_text(EXECUTOR_NAME);
  executor.today.params_schema = roost_text(SCHEMA);
  executor.today.run = RUN;
  host->add_executor(registry, &executor.today);
#ifdef DUPLICATE
  host->add_executor(registry, &executor.today);
#endif
#ifdef HANDLER_SIZE
  roost_handler handler = {0};
  handler.size = HANDLER_SIZE;
  handler.name = roost_text("note");
  host->add_callback(registry, &handler);
#endif
  return REGISTER_STATUS;
}

static const struct tomorrow plugin = {
    {PLUGIN_SIZE, ABI_MINOR, {"minimal", 7}, {"1.2.3", 5}, {"gcc-\xff", 5}, register_exports, CREATE, 0, 0, 0, 0}
#ifdef LARGER
    ,
    {~0ull, ~0ull, ~0ull, ~0ull}
#endif
};

ROOST_EXPORT const roost_plugin *ENTRY(const roost_host *host);
const roost_plugin *ENTRY(const roost_host *host) {
#ifdef RETURN_NULL
  (void)plugin;
  host->log(host, ROOST_LOG_ERROR, NULL, roost_text("no licence"));
  return NULL;
#else
  (void)host;
  return &plugin.today;
#endif
}

#ifdef SECOND_ENTRY
ROOST_EXPORT const void *roost_plugin_v2(const void *host);
const void *roost_plugin_v2(const void *host) { return host; }
#endif
