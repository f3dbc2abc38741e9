// SPDX-License-Identifier: Apache-2.0
#ifndef ROOST_CCOMMAND_DECLARATIONS_H
#define ROOST_CCOMMAND_DECLARATIONS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Declared here because Swift's Glibc module is built without _GNU_SOURCE.

// pipe() would not do: between it and fcntl() a
// program that another thread starts inherits the ends, and then no reader ever sees the end of its input.
int pipe2(int descriptors[2], int flags);

// Starts a program in a process group of its own, with three descriptors as 0, 1 and 2, no others, and no signal blocked
// or ignored. Returns 0 or an errno value.
//
// Not posix_spawn(), because it cannot ask for the death signal: the program is killed when the thread that calls this
// ends, so that it does not go on after a worker that was killed, and its task runs beside it elsewhere.
__attribute__((noinline, unused)) static int roost_command_spawn(pid_t *pid, const char *path, char *const argv[],
                                                                 char *const envp[], const int descriptors[3]) {
  pid_t parent = getpid();
  volatile int error = 0;  // the child runs in this very memory until it has become the program
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // no handler may run in the child
  pid_t child = vfork();
  if (child == 0) {
    int moved[3];
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || setpgid(0, 0) != 0) goto failed;
    if (getppid() != parent) _exit(127);  // it died before prctl
    for (int i = 0; i < 3; i++)  // out of the way first, so that no target is overwritten before it was a source
      if ((moved[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, 3)) < 0) goto failed;
    for (int i = 0; i < 3; i++)
      if (dup2(moved[i], i) < 0) goto failed;
    syscall(SYS_close_range, 3u, ~0u, 0u);  // everybody opens with O_CLOEXEC; this closes what a library forgot
    struct sigaction plain = {.sa_flags = 0};
    plain.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; number++) sigaction(number, &plain, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(path, argv, envp);
  failed:
    error = errno;
    _exit(127);
  }
  if (child < 0) error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (child > 0 && error != 0)
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
  *pid = child;
  return error;
}

#endif
