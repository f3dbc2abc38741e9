// SPDX-License-Identifier: Apache-2.0
// What Swift cannot import or must not do between fork and exec.
#ifndef ROOST_SYSTEM_SHIMS_H
#define ROOST_SYSTEM_SHIMS_H

#include <stdint.h>
#include <sys/epoll.h>  // which Glibc's module leaves out
#include <sys/types.h>

/// How a program is to be started; all that it points to is borrowed for the call.
typedef struct roost_start {
  const char *path;
  char *const *argv;
  char *const *envp;
  const char *directory;   // it starts there; NULL: where the caller is
  const int *fds;          // what it gets as descriptors 0, 1, 2, 3, … (-1: /dev/null); all others are closed
  int fd_count;
  int death_signal;        // sent to it when the calling thread ends
  int group;               // non-zero: it leads its own process group
  int cgroup;              // an open cgroup.procs that it enters first; -1: none
  int changes_user;        // non-zero: it runs as the next four say
  uid_t user;
  gid_t primary_group;
  const gid_t *groups;
  int group_count;
} roost_start;

/// Starts a program whose life is tied to the calling thread's, with no signal blocked or ignored.
///
/// Returns the pid, or -errno when the program could not be started.
///
/// Needed because Swift may not run between fork and exec, and posix_spawn has no parent-death signal.
pid_t roost_spawn(const roost_start *start);

/// The name of a signal, as in "SIGSEGV"; NULL if it has none. Needed because Glibc's module lacks sigabbrev_np.
const char *roost_signal_name(int signal, char buffer[32]);

/// A descriptor that becomes readable when the process ends; or -errno. Needed because glibc 2.36 declares it in a header without module.
int roost_pidfd_open(pid_t pid);

/// A child that has ended and that nobody has waited for yet, which can still be done; 0 if there is none. siginfo_t is a union.
pid_t roost_ended_child(void);

/// Makes the calling process adopt the orphans among its descendants; 0 or -errno. prctl is variadic.
int roost_become_subreaper(void);

/// An eventfd that does not block and is closed on exec; or -errno. Needed because Glibc's module has no sys/eventfd.h.
int roost_eventfd(void);

/// Blocks SIGTERM, SIGINT and SIGHUP in the calling thread and those that it starts, and ignores SIGPIPE.
void roost_block_signals(void);

/// Whether a blocked SIGTERM or SIGINT waits to be taken; 0 or 1.
int roost_is_told_to_end(void);

/// A descriptor that yields the blocked signals; or -errno. Needed because Glibc's module has no sys/signalfd.h.
int roost_signalfd(void);

/// The next signal of such a descriptor; 0 if none waits.
int roost_next_signal(int fd);

/// A pipe whose ends are closed on exec; 0 or -errno. Needed because pipe2 is a GNU extension.
int roost_pipe(int ends[2]);

/// Lets this process open as many files as the hard limit allows; programs started by roost_spawn get the old limit back,
/// because a larger one breaks those that use select().
void roost_raise_open_files(void);

/// Names the calling thread for ps, gdb and /proc; at most 15 bytes are kept.
void roost_name_thread(const char *name);

/// Milliseconds of a clock that also runs while the machine is suspended (CLOCK_BOOTTIME).
int64_t roost_boottime_millis(void);

#endif
