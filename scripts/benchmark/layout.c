// SPDX-License-Identifier: Apache-2.0
// A C client that does what Roost does in Redis, and nothing else: the same records and keys, by the same transactions and scripts
// (docs/store.md).
//
// A submitter and a worker, one connection and one batch in flight each; nothing is executed: a task's result is its params.
// Usage: layout SOCKET SCRIPTS TASKS [BATCH]. It flushes Redis and prints one line of JSON. SCRIPTS is a directory of whole
// scripts, as scripts.py puts them together.
#include "client.h"

#define PREFIX "roost:{00}:"
#define TYPE "bench"
#define HOST "00000000000000a1"
#define WORKER "00000000000000b2"
#define FENCE PREFIX "fence:" WORKER
#define WORKER_BYTES "\0\0\0\0\0\0\0\xb2"

enum {
  KEY = sizeof PREFIX - 1 + 2 + 32,
  HEADER = 90,
  PENDING = HEADER + sizeof TYPE - 1 + BODY,
  COMPLETED = PENDING + BODY
};

static long total;
static const char *scripts;
static char digests[5][41];
enum { REGISTER, HELLO, TAKE, SUBMITTED, COMPLETED_, SCRIPTS };
static const char *const names[] = {"register", "hello", "take", "submitted", "completed"};

// Lowest byte first.
static void put(char *at, uint64_t value, int size) {
  for (int i = 0; i < size; i++) at[i] = (char)(value >> 8 * i);
}

static char *read_script(const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s.lua", scripts, name);
  FILE *file = fopen(path, "r");
  char *text = calloc(1, 1 << 17);
  if (!file || !text) fail(path, NULL);
  fread(text, 1, (1 << 17) - 1, file);
  fclose(file);
  return text;
}

static void load_scripts(redisContext *redis) {
  for (int i = 0; i < SCRIPTS; i++) {
    char *text = read_script(names[i]);
    struct command load = {.used = 0};
    word(&load, "SCRIPT"), word(&load, "LOAD"), word(&load, text);
    append(redis, &load);
    redisReply *digest = reply(redis);
    snprintf(digests[i], sizeof digests[i], "%s", digest->str);
    freeReplyObject(digest);
    free(text);
  }
}

static struct command begin(int script) {
  struct command call = {.used = 0};
  word(&call, "EVALSHA"), word(&call, digests[script]), word(&call, "0"), word(&call, PREFIX);
  return call;
}

static void append_word(redisContext *redis, const char *text) {
  struct command command = {.used = 0};
  word(&command, text);
  append(redis, &command);
}

// Reads the answers to a transaction of so many commands; all must have been done.
static void read_transaction(redisContext *redis, size_t commands) {
  for (size_t i = 0; i <= commands; i++) freeReplyObject(reply(redis));
  redisReply *done = reply(redis);
  if (done->type != REDIS_REPLY_ARRAY || done->elements != commands) fail("a transaction was refused", NULL);
  for (size_t i = 0; i < commands; i++) {
    if (done->element[i]->type == REDIS_REPLY_ERROR) fail(done->element[i]->str, NULL);
  }
  freeReplyObject(done);
}

static uint64_t millis(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct fresh {
  char key[KEY + 1];
  char record[PENDING];
};

static void make(struct fresh *task, uint64_t now, uint64_t *random) {
  *random = *random * 6364136223846793005u + 1442695040888963407u;
  snprintf(task->key, sizeof task->key, PREFIX "t:%012lx7%03x%014lx00", (unsigned long)now, (unsigned)(*random >> 8) & 0xfff,
           (unsigned long)(*random >> 8) | 0x80000000000000);
  char *record = task->record;
  memset(record, 0, HEADER);
  memcpy(record, "1P-0", 4);
  put(record + 8, 3, 2);  // attempts at most
  record[49] = 'n';
  record[50] = sizeof TYPE - 1;
  put(record + 60, BODY, 4);
  put(record + 66, now, 6);
  memcpy(record + HEADER, TYPE, sizeof TYPE - 1);
  memset(record + PENDING - BODY, 'x', BODY);
  record[PENDING - BODY] = record[PENDING - 1] = '"';
}

// Records and a mark in one MSETNX, the queue, and the script that counts them.
static void append_submission(redisContext *redis, struct fresh *tasks, int count, long number) {
  char mark[64], text[24], size[12];
  snprintf(mark, sizeof mark, PREFIX "new:" HOST ":%ld", number);
  snprintf(text, sizeof text, "%ld", number);
  snprintf(size, sizeof size, "%d", count);
  struct command records = {.used = 0}, queue = {.used = 0}, end = begin(SUBMITTED);
  word(&records, "MSETNX"), word(&queue, "RPUSH"), word(&queue, PREFIX "q:" TYPE);
  for (int i = 0; i < count; i++) {
    add(&records, tasks[i].key, KEY), add(&records, tasks[i].record, PENDING);
    add(&queue, tasks[i].key, KEY);
  }
  word(&records, mark), word(&records, "");
  word(&end, HOST), word(&end, text), word(&end, TYPE), word(&end, size), add(&end, tasks[count - 1].key, KEY);
  append_word(redis, "MULTI");
  append(redis, &records), append(redis, &queue), append(redis, &end);
  append_word(redis, "EXEC");
}

static void *submit(void *unused) {
  redisContext *redis = connect_redis();
  struct fresh *tasks = calloc(MOST, sizeof *tasks);
  if (!tasks) fail("submitter", NULL);
  uint64_t random = millis() * 0x9e3779b97f4a7c15u;
  long number = 0;
  for (long done = 0; done < total;) {
    int count = total - done < batch ? (int)(total - done) : batch;
    uint64_t now = millis();
    for (int i = 0; i < count; i++) make(&tasks[i], now, &random);
    append_submission(redis, tasks, count, ++number);
    read_transaction(redis, 3);
    done += count;
  }
  free(tasks);
  redisFree(redis);
  return unused;
}

struct done {
  char key[KEY];
  char record[COMPLETED];
};

// Makes the completed record of each task of a take's answer; returns how many there are.
static int finish(struct done *tasks, const redisReply *taken) {
  if (taken->type != REDIS_REPLY_ARRAY || taken->elements < 4) fail("take answered something else", NULL);
  uint64_t now = (uint64_t)taken->element[0]->integer;
  int count = (int)taken->elements - 4;
  for (int i = 0; i < count; i++) {
    const char *old = taken->element[4 + i]->str;
    char *record = tasks[i].record;
    memcpy(tasks[i].key, taken->element[3]->str + i * (KEY + 4), KEY);
    memcpy(record, "1C-0\0\0", 6);
    put(record + 6, 1, 2);
    memcpy(record + 8, old + 8, 2);
    put(record + 10, 0, 2);
    put(record + 12, 1, 4);  // origin
    put(record + 16, BODY, 4);
    put(record + 20, now, 6);
    put(record + 26, now, 6);
    memcpy(record + 32, old + 32, PENDING - 32);
    memcpy(record + PENDING, old + PENDING - BODY, BODY);
  }
  return count;
}

static void append_take(redisContext *redis, long number) {
  struct command call = begin(TAKE);
  char text[24], count[12];
  snprintf(text, sizeof text, "%ld", number);
  snprintf(count, sizeof count, "%d", batch);
  word(&call, WORKER), add(&call, WORKER_BYTES, 8), word(&call, "1"), word(&call, TYPE), word(&call, "q"), word(&call, text);
  word(&call, count), word(&call, "1048576");
  append(redis, &call);
}

// The list of finished tasks, the records, and the script that counts them and removes the batch; none of it if the fence has changed.
static void append_completion(redisContext *redis, struct done *tasks, int count, long number) {
  char text[24], size[12];
  snprintf(text, sizeof text, "%ld", number);
  snprintf(size, sizeof size, "%d", count);
  struct command entries = {.used = 0}, records = {.used = 0}, end = begin(COMPLETED_);
  word(&entries, "RPUSH"), word(&entries, PREFIX "done:" TYPE), word(&records, "MSET");
  for (int i = 0; i < count; i++) {
    add(&entries, tasks[i].key + KEY - 32, 32);
    add(&records, tasks[i].key, KEY), add(&records, tasks[i].record, COMPLETED);
  }
  word(&end, WORKER), word(&end, text), word(&end, TYPE), word(&end, size);
  append_word(redis, "MULTI");
  append(redis, &entries), append(redis, &records), append(redis, &end);
  append_word(redis, "EXEC");
}

// As a worker does: one round says what is done and takes what is next; where nothing is, it waits for the token.
static void work(void) {
  redisContext *redis = connect_redis();
  struct done *tasks = calloc(MOST, sizeof *tasks);
  if (!tasks) fail("worker", NULL);
  int held = 0;
  long number = 0;
  redisAppendCommand(redis, "WATCH " FENCE);
  freeReplyObject(reply(redis));
  for (long done = 0; done < total;) {
    if (held) append_completion(redis, tasks, held, number), redisAppendCommand(redis, "WATCH " FENCE);
    append_take(redis, ++number);
    if (held) read_transaction(redis, 3), freeReplyObject(reply(redis));
    done += held;
    redisReply *taken = reply(redis);
    held = finish(tasks, taken);
    freeReplyObject(taken);
    if (held == 0 && done < total) freeReplyObject(redisCommand(redis, "BLPOP " PREFIX "wake:" TYPE " 1"));
  }
  free(tasks);
  redisFree(redis);
}

static void introduce(redisContext *redis) {
  struct command call = begin(REGISTER);
  word(&call, HOST), word(&call, "{\"name\":\"layout\",\"types\":[\"" TYPE "\"],\"formats\":[1]}");
  word(&call, TYPE), word(&call, "{\"executor\":\"echo/echo\",\"threads\":1}");
  append(redis, &call);
  struct command hello = begin(HELLO);
  word(&hello, WORKER), add(&hello, WORKER_BYTES, 8), word(&hello, "1"), word(&hello, "0"), word(&hello, "");
  word(&hello, "{}");
  append(redis, &hello);
  freeReplyObject(reply(redis));
  freeReplyObject(reply(redis));
}

int main(int count, char **words) {
  total = count >= 4 ? atol(words[3]) : 0;
  if (count == 5) batch = atoi(words[4]);
  if (total <= 0 || count > 5 || batch < 1 || batch > MOST) {
    fprintf(stderr, "usage: layout SOCKET SCRIPTS TASKS [BATCH]\n");
    return 2;
  }
  socket_path = words[1], scripts = words[2];
  redisContext *redis = connect_redis();
  freeReplyObject(redisCommand(redis, "FLUSHALL"));
  load_scripts(redis);
  introduce(redis);
  struct usage before = usage_of(redis);
  pthread_t submitter;
  if (pthread_create(&submitter, NULL, submit, NULL) != 0) fail("thread", NULL);
  work();
  pthread_join(submitter, NULL);
  struct usage after = usage_of(redis);
  redisReply *completed = redisCommand(redis, "HGET " PREFIX "n:" TYPE " COMPLETED");
  if (!completed || !completed->str || atol(completed->str) != total) fail("not every task is completed", NULL);
  printf("{");
  print_usage("both", total, before, after);
  printf("}\n");
  redisFree(redis);
  return 0;
}
