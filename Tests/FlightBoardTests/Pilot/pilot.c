// SPDX-License-Identifier: Apache-2.0
// A process with a flight board at descriptor 4 that ends in the way its argument says.
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash_mark.h"
#include "flight_board.h"

enum { SLOTS = 4, BOARD = 4 };

static roost_board *board;
static pthread_barrier_t together;
static sigjmp_buf way_back;

// Everything in a flight follows from one number, so that half of one can be told.
static uint64_t begin(uint32_t slot, uint32_t number) {
  roost_flight flight = {.task_high = number, .task_low = ~(uint64_t)number, .started_at = (int64_t)number * 3,
                         .take = number, .type = number ^ 0x5555, .kind = 1 + number % 2};
  return roost_flight_begin(board, slot, &flight);
}

static void say(const char *text) {
  if (write(1, text, strlen(text)) < 0) _exit(99);
}

static void segv(void) { *(volatile int *)8 = 1; }
static void illegal(void) { __builtin_trap(); }
static void divide(void) {
  volatile int zero = 0;
  zero = 7 / zero;
}
// As __builtin_debugtrap(), after which a program would go on.
static void trap(void) { raise(SIGTRAP); }
static void leave(void) { exit(3); }
static void leave_quickly(void) { quick_exit(3); }
static void ask_for_segv(void) { raise(SIGSEGV); }
static void crash_together(void) {
  pthread_barrier_wait(&together);
  segv();
}

static __attribute__((noinline)) int overflow_from(volatile char *above) {
  volatile char here[4096];
  here[0] = above[0];
  return here[0] ? overflow_from(here) + here[0] : 0;
}
static void overflow(void) {
  volatile char first = 1;
  overflow_from(&first);
}

static void fork_and_fail(void) {
  for (int crashes = 0; crashes < 2; crashes++) {
    pid_t child = fork();
    if (child == 0 && crashes) segv();
    if (child == 0) exit(1);
    waitpid(child, NULL, 0);
  }
}

static void rest(void) {
  say("ready\n");
  for (;;) pause();
}

struct thread {
  uint32_t slot;
  int flies;
  void (*body)(void);
};

static void *thread(void *argument) {
  struct thread *it = argument;
  void *stack = roost_alternate_stack_begin();
  if (it->flies) roost_thread_flies(begin(it->slot, 100 + it->slot));
  it->body();
  roost_thread_flies(0);
  if (it->flies) roost_flight_end(board, it->slot);
  roost_alternate_stack_end(stack);
  return NULL;
}

static void run(int count, struct thread *threads) {
  pthread_t ids[2];
  for (int i = 0; i < count; i++) pthread_create(&ids[i], NULL, thread, &threads[i]);
  for (int i = 0; i < count; i++) pthread_join(ids[i], NULL);
}

static void one(void (*body)(void)) {
  begin(0, 7);
  run(1, (struct thread[]){{1, 1, body}});
}

static void reporter(int signal) {
  (void)signal;
  say("reporter\n");
  _exit(9);
}

// Takes so long that the process looks for handlers meanwhile.
static void slow_reporter(int signal) {
  for (int i = 0; i < 3; i++) roost_crash_marks_renew();
  reporter(signal);
}

static struct sigaction replaced;
static void chaining(int signal, siginfo_t *info, void *context) {
  say("chaining\n");
  replaced.sa_sigaction(signal, info, context);
}

static void survivor(int signal) {
  (void)signal;
  siglongjmp(way_back, 1);
}
static void survive(void) {
  if (!sigsetjmp(way_back, 1)) segv();
}

static void install(void (*simple)(int), void (*full)(int, siginfo_t *, void *)) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  if (simple) action.sa_handler = simple;
  if (full) action.sa_sigaction = full, action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &replaced);
}

// Fills two slots over and over.
static void *spin(void *argument) {
  uint32_t slot = *(uint32_t *)argument;
  for (uint32_t number = 1;; number++) {
    begin(slot, number);
    roost_flight_end(board, slot);
  }
  return NULL;
}

static const struct {
  const char *name;
  void (*body)(void);
} endings[] = {{"segv", segv},         {"illegal", illegal},      {"divide", divide},
               {"abort", abort},       {"trap", trap},            {"exit", leave},
               {"overflow", overflow}, {"quick", leave_quickly},  {"raise", ask_for_segv},
               {"fork", fork_and_fail}, {"rest", rest}};

int main(int count, char **words) {
  const char *how = count > 1 ? words[1] : "";
  board = roost_board_map(BOARD, SLOTS, 1);
  if (!board) return 98;
  if (strcmp(how, "reporter") == 0) install(reporter, NULL);
  if (strcmp(how, "slow") == 0) install(slow_reporter, NULL);
  if (strncmp(how, "survive", 7) == 0) install(survivor, NULL);
  roost_crash_marks_begin(board);
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
    if (strcmp(how, endings[i].name) == 0) one(endings[i].body);
  if (strcmp(how, "reporter") == 0 || strcmp(how, "slow") == 0) one(segv);
  if (strcmp(how, "bystander") == 0) {
    begin(0, 7);
    run(1, (struct thread[]){{1, 0, segv}});
  }
  if (strcmp(how, "two") == 0) {
    pthread_barrier_init(&together, NULL, 2);
    run(2, (struct thread[]){{1, 1, crash_together}, {2, 1, crash_together}});
  }
  if (strcmp(how, "chaining") == 0) {
    install(NULL, chaining);
    if (roost_crash_marks_renew() != 1ULL << SIGSEGV || roost_crash_marks_renew() != 0) return 97;
    one(segv);
  }
  if (strcmp(how, "survive") == 0) {
    one(survive);
    rest();
  }
  if (strcmp(how, "survive-again") == 0) {
    one(survive);
    if (roost_crash_marks_renew() != 1ULL << SIGSEGV) return 97;
    run(1, (struct thread[]){{2, 1, abort}});
  }
  if (strcmp(how, "outlive") == 0) {
    // Nobody's crash, so no flight's end tells that it is over.
    install(survivor, NULL);
    roost_crash_marks_renew();
    survive();
    roost_crash_marks_renew();
    roost_crash_marks_renew();
    rest();
  }
  if (strcmp(how, "spin") == 0) {
    pthread_t ids[2];
    static uint32_t slots[] = {1, 2};
    for (int i = 0; i < 2; i++) pthread_create(&ids[i], NULL, spin, &slots[i]);
    rest();
  }
  return 0;
}
