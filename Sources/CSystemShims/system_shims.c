// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "system_shims.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct rlimit given_open_files;  // set once, before threads start

void roost_raise_open_files(void) {
  if (getrlimit(RLIMIT_NOFILE, &given_open_files) != 0) {
    given_open_files.rlim_max = 0;
    return;
  }
  struct rlimit raised = {given_open_files.rlim_max, given_open_files.rlim_max};
  setrlimit(RLIMIT_NOFILE, &raised);
}

static _Noreturn void give_up(int report) {
  int error = errno;
  (void)!write(report, &error, sizeof error);
  _exit(127);
}

static int become_user(const roost_start *start) {
  // A raw call each: glibc's would signal threads that this process does not have any more.
  if (syscall(SYS_setgroups, (size_t)start->group_count, start->groups) != 0) return -1;
  if (syscall(SYS_setresgid, start->primary_group, start->primary_group, start->primary_group) != 0) return -1;
  return (int)syscall(SYS_setresuid, start->user, start->user, start->user);
}

static int take_descriptors(const int *fds, int fd_count, int *report) {
  // First out of the way, so that no target number is overwritten before it was used as a source.
  int moved[16];
  if (fd_count > 16) {
    errno = EINVAL;
    return -1;
  }
  int high = fcntl(*report, F_DUPFD_CLOEXEC, 64);
  if (high < 0) return -1;
  *report = high;
  for (int i = 0; i < fd_count; i++) {
    int source = fds[i] >= 0 ? fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC);
    if (source < 0) return -1;
    moved[i] = fcntl(source, F_DUPFD_CLOEXEC, 64);
    if (moved[i] < 0) return -1;
  }
  for (int i = 0; i < fd_count; i++)
    if (dup2(moved[i], i) < 0) return -1;
  // Others carry O_CLOEXEC by convention; this closes what a library forgot.
  syscall(SYS_close_range, (unsigned)fd_count, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
  return 0;
}

// Only async-signal-safe calls: the parent has other threads.
static _Noreturn void become(const roost_start *start, pid_t parent, int report) {
  if (start->group && setpgid(0, 0) != 0) give_up(report);
  if (start->directory && chdir(start->directory) != 0) give_up(report);
  if (start->cgroup >= 0 && write(start->cgroup, "0", 1) != 1) give_up(report);
  if (take_descriptors(start->fds, start->fd_count, &report) != 0) give_up(report);
  if (given_open_files.rlim_max) setrlimit(RLIMIT_NOFILE, &given_open_files);
  if (start->changes_user && become_user(start) != 0) give_up(report);
  // Behind the change of user, which takes it back.
  if (prctl(PR_SET_PDEATHSIG, start->death_signal) != 0) give_up(report);
  if (getppid() != parent) _exit(127);  // the parent died before prctl

  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; signal++) sigaction(signal, &action, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);

  execve(start->path, start->argv, start->envp);
  give_up(report);
}

pid_t roost_spawn(const roost_start *start) {
  int report[2];  // carries errno when exec fails, closes when it succeeds
  if (pipe2(report, O_CLOEXEC) != 0) return -errno;
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0) become(start, parent, report[1]);
  int failed = pid < 0 ? errno : 0;
  close(report[1]);
  if (pid > 0) {
    ssize_t got;
    do got = read(report[0], &failed, sizeof failed);
    while (got < 0 && errno == EINTR);
    if (got != sizeof failed) failed = 0;
  }
  close(report[0]);
  if (failed && pid > 0)
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
  return failed ? -failed : pid;
}

const char *roost_signal_name(int signal, char buffer[32]) {
  const char *name = sigabbrev_np(signal);
  if (!name) return NULL;
  snprintf(buffer, 32, "SIG%s", name);
  return buffer;
}

int roost_pidfd_open(pid_t pid) {
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  return fd < 0 ? -errno : fd;
}

pid_t roost_ended_child(void) {
  siginfo_t info;
  info.si_pid = 0;
  return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 ? info.si_pid : 0;
}

int roost_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 ? 0 : -errno; }

int roost_eventfd(void) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

static sigset_t ending_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return set;
}

void roost_block_signals(void) {
  signal(SIGPIPE, SIG_IGN);
  sigset_t set = ending_signals();
  pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int roost_is_told_to_end(void) {
  sigset_t waiting;
  return sigpending(&waiting) == 0 && (sigismember(&waiting, SIGTERM) == 1 || sigismember(&waiting, SIGINT) == 1);
}

int roost_signalfd(void) {
  sigset_t set = ending_signals();
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

int roost_next_signal(int fd) {
  struct signalfd_siginfo info;
  return read(fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

int roost_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) == 0 ? 0 : -errno; }

void roost_name_thread(const char *name) {
  char kept[16] = {0};
  strncpy(kept, name, sizeof kept - 1);
  pthread_setname_np(pthread_self(), kept);
}

int64_t roost_boottime_millis(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
