// SPDX-License-Identifier: Apache-2.0
// The wall: the least that a durable task life needs in Redis.
//
// One string a task, one batch in flight on each of two connections: a submitter (MSET, RPUSH) and a worker (LRANGE, MGET,
// LTRIM; MSET with the result). No lease, no counters, no fence, no lists of finished tasks.
// Usage: wall SOCKET TASKS [BATCH [BACKLOG]]. It flushes Redis and prints one line of JSON: `both` at once; with BACKLOG, in place
// of that, `submit` and `take` of TASKS tasks each on an empty Redis (`empty`) and above so many waiting ones (`full`).
#include "client.h"

enum { KEY = 45, HEADER = 90, RECORD = HEADER + 2 * BODY };

struct task {
  char key[KEY + 1];
  char record[RECORD];
};

static long total;
static uint64_t random_state;

// Adds the key, the record or both of each task.
static void add_tasks(struct command *command, struct task *tasks, int count, int with_keys, size_t record) {
  for (int i = 0; i < count; i++) {
    if (with_keys) add(command, tasks[i].key, KEY);
    if (record) add(command, tasks[i].record, record);
  }
}

static struct command begin(const char *name, const char *list) {
  struct command command = {.used = 0};
  word(&command, name);
  if (list) word(&command, list);
  return command;
}

static void submit(redisContext *redis, long number) {
  struct task *tasks = calloc(MOST, sizeof *tasks);
  if (!tasks) fail("memory", NULL);
  for (long done = 0; done < number;) {
    int count = number - done < batch ? (int)(number - done) : batch;
    for (int i = 0; i < count; i++) {
      random_state = random_state * 6364136223846793005u + 1442695040888963407u;
      snprintf(tasks[i].key, sizeof tasks[i].key, "roost:{00}:t:%016lx%016lx", done + i, (unsigned long)random_state);
      memcpy(tasks[i].record, tasks[i].key, KEY);
      memset(tasks[i].record + HEADER, 'x', BODY);
    }
    struct command store = begin("MSET", NULL), push = begin("RPUSH", "queue");
    add_tasks(&store, tasks, count, 1, HEADER + BODY);
    add_tasks(&push, tasks, count, 1, 0);
    append(redis, &store);
    append(redis, &push);
    freeReplyObject(reply(redis));
    freeReplyObject(reply(redis));
    done += count;
  }
  free(tasks);
}

static void *submit_all(void *unused) {
  redisContext *redis = connect_redis();
  submit(redis, total);
  redisFree(redis);
  return unused;
}

// Takes so many tasks, and completes them if it is to.
static void work(redisContext *redis, long number, int completes) {
  struct task *tasks = calloc(MOST, sizeof *tasks);
  if (!tasks) fail("memory", NULL);
  for (long done = 0; done < number;) {
    redisReply *keys = redisCommand(redis, "LRANGE queue 0 %d", batch - 1);
    if (!keys) fail("LRANGE", redis);
    int count = (int)keys->elements;
    for (int i = 0; i < count; i++) memcpy(tasks[i].key, keys->element[i]->str, KEY);
    freeReplyObject(keys);
    if (count == 0) {
      nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
      continue;
    }
    struct command read = begin("MGET", NULL);
    add_tasks(&read, tasks, count, 1, 0);
    append(redis, &read);
    redisAppendCommand(redis, "LTRIM queue %d -1", count);
    redisReply *records = reply(redis);
    for (int i = 0; i < count; i++) {
      memcpy(tasks[i].record, records->element[i]->str, HEADER + BODY);
      memcpy(tasks[i].record + HEADER + BODY, tasks[i].record + HEADER, BODY);
    }
    freeReplyObject(records);
    freeReplyObject(reply(redis));
    if (completes) {
      struct command store = begin("MSET", NULL);
      add_tasks(&store, tasks, count, 1, RECORD);
      append(redis, &store);
      freeReplyObject(reply(redis));
    }
    done += count;
  }
  free(tasks);
}

static void measure_both(redisContext *redis) {
  struct usage before = usage_of(redis);
  pthread_t submitter;
  if (pthread_create(&submitter, NULL, submit_all, NULL) != 0) fail("thread", NULL);
  redisContext *worker = connect_redis();
  work(worker, total, 1);
  pthread_join(submitter, NULL);
  print_usage("both", total, before, usage_of(redis));
  redisFree(worker);
}

static void measure_apart(redisContext *redis) {
  struct usage before = usage_of(redis);
  submit(redis, total);
  struct usage between = usage_of(redis);
  work(redis, total, 0);
  print_usage("submit", total, before, between);
  printf(",");
  print_usage("take", total, between, usage_of(redis));
}

int main(int count, char **words) {
  total = count >= 3 ? atol(words[2]) : 0;
  if (count >= 4) batch = atoi(words[3]);
  long backlog = count == 5 ? atol(words[4]) : 0;
  if (total <= 0 || count > 5 || batch < 1 || batch > MOST) {
    fprintf(stderr, "usage: wall SOCKET TASKS [BATCH [BACKLOG]]\n");
    return 2;
  }
  socket_path = words[1];
  random_state = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15u;
  redisContext *redis = connect_redis();
  freeReplyObject(redisCommand(redis, "FLUSHALL"));
  printf("{");
  if (backlog == 0) {
    measure_both(redis);
  } else {
    printf("\"empty\":{");
    measure_apart(redis);
    freeReplyObject(redisCommand(redis, "FLUSHALL"));
    submit(redis, backlog);
    printf("},\"full\":{");
    measure_apart(redis);
    printf("}");
  }
  printf("}\n");
  redisFree(redis);
  return 0;
}
