// SPDX-License-Identifier: Apache-2.0
// The wall that scripts/bench measures Roost against: the least that a durable task life needs in Redis.
//
// One string a task, batches of 256, one batch in flight on each of two connections: a submitter (MSET, RPUSH) and a worker
// (LRANGE, MGET, LTRIM; MSET with the result). No lease, no counters, no fence, no lists of finished tasks.
// Usage: bench-wall SOCKET TASKS. Prints one line of JSON.
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 256, KEY = 45, HEADER = 90, BODY = 99, RECORD = HEADER + 2 * BODY };

struct task {
  char key[KEY + 1];
  char record[RECORD];
};

static const char *socket_path;
static long total;

static void fail(const char *what, const redisContext *redis) {
  fprintf(stderr, "bench-wall: %s: %s\n", what, redis ? redis->errstr : "out of memory");
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
    fprintf(stderr, "bench-wall: %s\n", ((redisReply *)answer)->str);
    exit(1);
  }
  return answer;
}

// A command with the key, the record or both of each task behind `head`.
static void send_tasks(redisContext *redis, const char *name, const char *list, struct task *tasks, int count,
                       int with_keys, size_t record) {
  const char *words[2 + 2 * BATCH];
  size_t lengths[2 + 2 * BATCH];
  int used = 0;
  words[used] = name, lengths[used++] = strlen(name);
  if (list) words[used] = list, lengths[used++] = strlen(list);
  for (int i = 0; i < count; i++) {
    if (with_keys) words[used] = tasks[i].key, lengths[used++] = KEY;
    if (record) words[used] = tasks[i].record, lengths[used++] = record;
  }
  redisAppendCommandArgv(redis, used, words, lengths);
}

static void *submit(void *unused) {
  redisContext *redis = connect_redis();
  struct task *tasks = calloc(BATCH, sizeof *tasks);
  if (!tasks) fail("submitter", NULL);
  uint64_t random = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15u;
  for (long done = 0; done < total;) {
    int count = total - done < BATCH ? (int)(total - done) : BATCH;
    for (int i = 0; i < count; i++) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      snprintf(tasks[i].key, sizeof tasks[i].key, "roost:{00}:t:%016lx%016lx", done + i, (unsigned long)random);
      memcpy(tasks[i].record, tasks[i].key, KEY);
      memset(tasks[i].record + HEADER, 'x', BODY);
    }
    send_tasks(redis, "MSET", NULL, tasks, count, 1, HEADER + BODY);
    send_tasks(redis, "RPUSH", "queue", tasks, count, 1, 0);
    freeReplyObject(reply(redis));
    freeReplyObject(reply(redis));
    done += count;
  }
  free(tasks);
  redisFree(redis);
  return unused;
}

static void work(void) {
  redisContext *redis = connect_redis();
  struct task *tasks = calloc(BATCH, sizeof *tasks);
  if (!tasks) fail("worker", NULL);
  for (long done = 0; done < total;) {
    redisReply *keys = redisCommand(redis, "LRANGE queue 0 %d", BATCH - 1);
    if (!keys) fail("LRANGE", redis);
    int count = (int)keys->elements;
    for (int i = 0; i < count; i++) memcpy(tasks[i].key, keys->element[i]->str, KEY);
    freeReplyObject(keys);
    if (count == 0) {
      nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
      continue;
    }
    send_tasks(redis, "MGET", NULL, tasks, count, 1, 0);
    redisAppendCommand(redis, "LTRIM queue %d -1", count);
    redisReply *records = reply(redis);
    for (int i = 0; i < count; i++) {
      memcpy(tasks[i].record, records->element[i]->str, HEADER + BODY);
      memcpy(tasks[i].record + HEADER + BODY, tasks[i].record + HEADER, BODY);
    }
    freeReplyObject(records);
    freeReplyObject(reply(redis));
    send_tasks(redis, "MSET", NULL, tasks, count, 1, RECORD);
    freeReplyObject(reply(redis));
    done += count;
  }
  free(tasks);
  redisFree(redis);
}

// Microseconds of CPU that Redis' main thread has used.
static double redis_micros(redisContext *redis) {
  redisReply *info = redisCommand(redis, "INFO cpu");
  if (!info) fail("INFO", redis);
  double micros = 0;
  for (const char *at = info->str; (at = strstr(at, "_main_thread:")); at++) {
    micros += atof(at + strlen("_main_thread:")) * 1e6;
  }
  freeReplyObject(info);
  return micros;
}

int main(int count, char **words) {
  total = count == 3 ? atol(words[2]) : 0;
  if (total <= 0) {
    fprintf(stderr, "usage: bench-wall SOCKET TASKS\n");
    return 2;
  }
  socket_path = words[1];
  redisContext *redis = connect_redis();
  freeReplyObject(redisCommand(redis, "FLUSHALL"));
  double micros = redis_micros(redis);
  struct timespec began, ended;
  clock_gettime(CLOCK_MONOTONIC, &began);
  pthread_t submitter;
  if (pthread_create(&submitter, NULL, submit, NULL) != 0) fail("thread", NULL);
  work();
  pthread_join(submitter, NULL);
  clock_gettime(CLOCK_MONOTONIC, &ended);
  double seconds = (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9;
  printf("{\"tasks\":%ld,\"tasksPerSecond\":%.0f,\"redisMicrosPerTask\":%.2f}\n", total, (double)total / seconds,
         (redis_micros(redis) - micros) / (double)total);
  redisFree(redis);
  return 0;
}
