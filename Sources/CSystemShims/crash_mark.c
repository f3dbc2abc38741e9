// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "crash_mark.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int marked[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
enum { COUNT = sizeof marked / sizeof *marked };

static roost_board *_Atomic board;
static pid_t owner;

// What was there before, per signal: two copies, so that a handler never reads one that is being written.
static struct sigaction before[COUNT][2];
static _Atomic int which[COUNT];
// Counts how often ours were put in front.
static _Atomic unsigned installed[COUNT];

// Initial-exec: memory for thread-locals must not be allocated in a signal handler.
#define PER_THREAD static _Thread_local __attribute__((tls_model("initial-exec")))
PER_THREAD volatile uint64_t flying;
// At which installation this thread went through the handler last.
PER_THREAD volatile unsigned passed[COUNT];
// What the thread had before it was given a stack here.
PER_THREAD stack_t outer;

void roost_thread_flies(uint64_t flight) { flying = flight; }

static void mark(uint64_t flight, int signal) {
  roost_board *open = atomic_load(&board);
  // What a plugin forks has the memory and the handlers, too, and may end as it likes.
  if (open && getpid() == owner) roost_crash_write(open, flight, signal);
}

// Only async-signal-safe calls.
static void step_aside(int signal) {
  int i = 0;
  while (marked[i] != signal) i++;
  unsigned installation = atomic_load(&installed[i]);
  struct sigaction action;
  if (passed[i] == installation) {
    // The handler before has called this one: it was installed later and took this one for its own predecessor.
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
  } else {
    action = before[i][atomic_load(&which[i])];
  }
  passed[i] = installation;
  sigaction(signal, &action, NULL);
}

static void crashed(int signal, siginfo_t *info, void *context) {
  (void)context;
  int error = errno;
  pid_t self = getpid();
  // What another process sends hits any thread.
  int is_sent = info->si_code <= 0 && info->si_pid != self;
  mark(is_sent ? 0 : flying, signal);
  step_aside(signal);
  // Comes again on return, with the same facts: not every cause does by itself (a breakpoint, a forbidden system call).
  if (syscall(SYS_rt_tgsigqueueinfo, self, syscall(SYS_gettid), signal, info) != 0) raise(signal);
  errno = error;
}

// A plugin that calls exit() takes its neighbours with it.
static void exiting(void) {
  if (flying) mark(flying, 0);
}

static void install(int i) {
  struct sigaction ours, old;
  memset(&ours, 0, sizeof ours);
  ours.sa_sigaction = crashed;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  if (sigaction(marked[i], NULL, &old) != 0) return;
  int other = !atomic_load(&which[i]);
  before[i][other] = old;
  atomic_store(&which[i], other);
  atomic_fetch_add(&installed[i], 1);
  sigaction(marked[i], &ours, NULL);
}

void roost_crash_marks_begin(roost_board *on) {
  owner = getpid();
  atomic_store(&board, on);
  for (int i = 0; i < COUNT; i++) install(i);
  atexit(exiting);
  at_quick_exit(exiting);
}

static int is_ours(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == crashed;
}

uint64_t roost_crash_marks_renew(void) {
  static uint64_t last_mark;
  roost_board *open = atomic_load(&board);
  if (!open) return 0;
  uint64_t replaced = 0;
  for (int i = 0; i < COUNT; i++) {
    struct sigaction now;
    if (sigaction(marked[i], NULL, &now) != 0 || is_ours(&now)) continue;
    install(i);
    replaced |= 1ULL << marked[i];
  }
  uint64_t mark = roost_nameless_mark(open);
  if (mark && mark == last_mark) roost_crash_remove(open, mark);
  last_mark = mark;
  return replaced;
}

enum { STACK_SIZE = 64 << 10 };

void *roost_alternate_stack_begin(void) {
  flying = 0;
  outer.ss_flags = SS_DISABLE;
  size_t guard = (size_t)sysconf(_SC_PAGESIZE);
  char *memory = mmap(NULL, guard + STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  stack_t stack = {.ss_sp = memory + guard, .ss_size = STACK_SIZE};
  if (mprotect(memory, guard, PROT_NONE) == 0 && sigaltstack(&stack, &outer) == 0) return memory;
  munmap(memory, guard + STACK_SIZE);
  return NULL;
}

void roost_alternate_stack_end(void *memory) {
  if (!memory) return;
  size_t guard = (size_t)sysconf(_SC_PAGESIZE);
  stack_t now;
  // A plugin may have given the thread one of its own.
  if (sigaltstack(NULL, &now) == 0 && now.ss_sp == (char *)memory + guard) sigaltstack(&outer, NULL);
  munmap(memory, guard + STACK_SIZE);
}
