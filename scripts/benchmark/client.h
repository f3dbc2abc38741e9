// SPDX-License-Identifier: Apache-2.0
// What the C clients of the benchmark share: connecting, answers, and what Redis' main thread has used.
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 256, BODY = 99 };  // tasks a call at most; bytes of params and of a result

static const char *socket_path;
static int batch = MOST;

static void fail(const char *what, const redisContext *redis) {
  fprintf(stderr, "%s: %s\n", what, redis ? redis->errstr : "failed");
  exit(1);
}

static redisContext *connect_redis(void) {
  redisContext *redis = redisConnectUnix(socket_path);
  if (!redis || redis->err) fail(socket_path, redis);
  return redis;
}

static redisReply *reply(redisContext *redis) {
  void *answer;
  if (redisGetReply(redis, &answer) != REDIS_OK) fail("no answer", redis);
  if (((redisReply *)answer)->type == REDIS_REPLY_ERROR) {
    fprintf(stderr, "%s\n", ((redisReply *)answer)->str);
    exit(1);
  }
  return answer;
}

// A command that is being written.
struct command {
  const char *words[4 * MOST + 16];
  size_t lengths[4 * MOST + 16];
  int used;
};

static void add(struct command *command, const void *bytes, size_t length) {
  command->words[command->used] = bytes;
  command->lengths[command->used++] = length;
}

static void word(struct command *command, const char *text) { add(command, text, strlen(text)); }

static void append(redisContext *redis, const struct command *command) {
  if (redisAppendCommandArgv(redis, command->used, (const char **)command->words, command->lengths) != REDIS_OK) {
    fail("command", redis);
  }
}

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Time, and microseconds of CPU that Redis' main thread has used.
struct usage {
  double seconds, micros;
};

static struct usage usage_of(redisContext *redis) {
  redisReply *info = redisCommand(redis, "INFO cpu");
  if (!info) fail("INFO", redis);
  struct usage usage = {seconds_now(), 0};
  for (const char *at = info->str; (at = strstr(at, "_main_thread:")); at++) {
    usage.micros += atof(at + strlen("_main_thread:")) * 1e6;
  }
  freeReplyObject(info);
  return usage;
}

static void print_usage(const char *name, long tasks, struct usage from, struct usage to) {
  printf("\"%s\":{\"tasks\":%ld,\"tasksPerSecond\":%.0f,\"redisMicrosPerTask\":%.2f}", name, tasks,
         (double)tasks / (to.seconds - from.seconds), (to.micros - from.micros) / (double)tasks);
}
