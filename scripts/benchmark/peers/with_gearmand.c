// SPDX-License-Identifier: Apache-2.0
// Both sides of gearmand by libgearman: `work PORT` runs jobs, `submit PORT` submits as many as each line of the input says.
#include <fcntl.h>
#include <inttypes.h>
#include <libgearman/gearman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096, EVERY = 5 };  // jobs whose times are kept at most; milliseconds until they are written

static int ran, kept;
static int64_t times[MOST][2], written;

static int64_t nanos(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000 + now.tv_nsec;
}

static void write_times(void) {
  if (write(ran, times, (size_t)kept * sizeof *times) < 0) exit(1);
  kept = 0;
  written = nanos();
}

static gearman_return_t echo(gearman_job_st *job, void *unused) {
  (void)unused;
  const char *params = gearman_job_workload(job);
  size_t size = gearman_job_workload_size(job);
  times[kept][0] = strtoll(strchr(params, ':') + 1, NULL, 10), times[kept][1] = nanos();
  if (++kept == MOST || times[kept - 1][1] - written > EVERY * 1000000) write_times();
  gearman_job_send_complete(job, params, size);
  return GEARMAN_SUCCESS;
}

static int work(int port) {
  char path[4096];
  snprintf(path, sizeof path, "%s/ran.%d", getenv("BENCH_WORK"), getpid());
  ran = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  gearman_worker_st *worker = gearman_worker_create(NULL);
  gearman_worker_add_server(worker, "127.0.0.1", (in_port_t)port);
  gearman_function_t function = gearman_function_create(echo);
  gearman_worker_define_function(worker, "echo", 4, function, 0, NULL);
  gearman_worker_set_timeout(worker, EVERY);
  for (gearman_return_t result; (result = gearman_worker_work(worker)) == GEARMAN_SUCCESS || result == GEARMAN_TIMEOUT;) {
    if (result == GEARMAN_TIMEOUT && kept) write_times();
  }
  fprintf(stderr, "%s\n", gearman_worker_error(worker));
  return 1;
}

static int submit(int port) {
  char line[32], params[128];
  gearman_client_st *client = gearman_client_create(NULL);
  gearman_client_add_server(client, "127.0.0.1", (in_port_t)port);
  while (fgets(line, sizeof line, stdin)) {
    for (int left = atoi(line); left > 0; left--) {
      gearman_return_t result;
      int size = snprintf(params, sizeof params, "{\"sent\":%" PRId64 ",\"text\":\"%060d\"}", nanos(), 0);
      gearman_client_add_task_background(client, NULL, NULL, "echo", NULL, params, (size_t)size, &result);
      if (gearman_failed(result)) return fprintf(stderr, "%s\n", gearman_client_error(client)), 1;
    }
    if (gearman_failed(gearman_client_run_tasks(client))) return fprintf(stderr, "%s\n", gearman_client_error(client)), 1;
    gearman_client_task_free_all(client);
  }
  return 0;
}

int main(int count, char **words) {
  if (count != 3) return 2;
  return strcmp(words[1], "work") == 0 ? work(atoi(words[2])) : submit(atoi(words[2]));
}
