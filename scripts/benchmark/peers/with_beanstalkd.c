// SPDX-License-Identifier: Apache-2.0
// Both sides of beanstalkd: `work PORT` runs jobs, `submit PORT` submits as many as each line of the input says. Up to 256
// commands are under way.
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH = 256 };

static FILE *replies;
static int server;

static int64_t nanos(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000 + now.tv_nsec;
}

static void fail(const char *what) {
  fprintf(stderr, "beanstalkd: %s\n", what);
  exit(1);
}

static void connect_to(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  server = socket(AF_INET, SOCK_STREAM, 0);
  for (int tries = 0; connect(server, (struct sockaddr *)&address, sizeof address) != 0; tries++) {
    if (tries == 100) fail("not to be reached");
    usleep(50000);
  }
  setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  replies = fdopen(dup(server), "r");
}

static void send_all(const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t sent = write(server, bytes, length);
    if (sent < 0) fail("write");
    bytes += sent, length -= (size_t)sent;
  }
}

static void read_line(char *line, int size) {
  if (!fgets(line, size, replies)) fail("no answer");
}

static size_t ask(char *commands) {
  size_t length = (size_t)sprintf(commands, "reserve\r\n");
  for (int i = 1; i < DEPTH; i++) length += (size_t)sprintf(commands + length, "reserve-with-timeout 0\r\n");
  return length;
}

// Takes up to 256 jobs at once: the first it waits for, of the others what is there.
static void work(void) {
  char path[4096], commands[DEPTH * 80], line[256], body[65536 + 2];
  snprintf(path, sizeof path, "%s/ran.%d", getenv("BENCH_WORK"), getpid());
  int ran = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600), held = 0;
  int64_t times[DEPTH][2];
  size_t length = 0;
  for (;;) {
    length += ask(commands + length);
    send_all(commands, length);
    for (; held > 0; held--) {
      read_line(line, sizeof line);
      if (strcmp(line, "DELETED\r\n") != 0) fail(line);
    }
    length = 0;
    for (int i = 0; i < DEPTH; i++) {
      uint64_t id;
      size_t size;
      read_line(line, sizeof line);
      if (sscanf(line, "RESERVED %" SCNu64 " %zu", &id, &size) != 2) continue;
      if (size > 65536 || fread(body, 1, size + 2, replies) != size + 2) fail("a job is too large");
      body[size] = 0;
      times[held][0] = strtoll(strchr(body, ':') + 1, NULL, 10), times[held][1] = nanos();
      length += (size_t)sprintf(commands + length, "delete %" PRIu64 "\r\n", id);
      held++;
    }
    if (write(ran, times, (size_t)held * sizeof *times) < 0) fail("write");
  }
}

static void submit(void) {
  char line[256], body[128], commands[DEPTH * 160];
  while (fgets(line, sizeof line, stdin)) {
    for (int left = atoi(line); left > 0;) {
      int count = left < DEPTH ? left : DEPTH;
      size_t length = 0;
      for (int i = 0; i < count; i++) {
        int size = snprintf(body, sizeof body, "{\"sent\":%" PRId64 ",\"text\":\"%060d\"}", nanos(), 0);
        length += (size_t)sprintf(commands + length, "put 1024 0 60 %d\r\n%s\r\n", size, body);
      }
      send_all(commands, length);
      for (int i = 0; i < count; i++) {
        char answer[256];
        read_line(answer, sizeof answer);
        if (strncmp(answer, "INSERTED", 8) != 0) fail(answer);
      }
      left -= count;
    }
  }
}

int main(int count, char **words) {
  if (count != 3) return 2;
  connect_to(atoi(words[2]));
  if (strcmp(words[1], "work") == 0) work();
  submit();
  return 0;
}
