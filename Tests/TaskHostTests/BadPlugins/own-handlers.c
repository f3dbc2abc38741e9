// SPDX-License-Identifier: Apache-2.0
// Takes the signals of a crash for itself, as crash reporters and language runtimes do. Params "crash": then it crashes.
#include <signal.h>

#include "zoo.h"

static void report(int number) {
  static const char text[] = "a report of its own\n";
  if (write(2, text, sizeof text - 1) < 0) _exit(1);
  signal(number, SIG_DFL);
  raise(number);
}

static roost_status run(void *instance, roost_task *task) {
  (void)instance;
  static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGTERM, SIGCHLD, SIGPIPE, SIGALRM};
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = report;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) sigaction(numbers[i], &action, NULL);
  if (params_are(task, "\"crash\"")) {
    confess();
    write_to_null();
  }
  host->set_result(task, roost_text("\"behaved\""));
  return ROOST_OK;
}

BAD_PLUGIN(run)
