// SPDX-License-Identifier: Apache-2.0
// Marks on the flight board which thread takes the process down.
#ifndef ROOST_CRASH_MARK_H
#define ROOST_CRASH_MARK_H

#include <stdint.h>

#include "flight_board.h"

/// Marks crashes and calls of exit() from now on; to be called once in a process, after all that install handlers of their own.
void roost_crash_marks_begin(roost_board *board);

/// Puts the handlers back in front of those that others have installed since; returns a bit for each such signal
/// (1 << signal). Takes away a mark that names no flight and that the process has outlived since the last call.
///
/// For one thread.
uint64_t roost_crash_marks_renew(void);

/// What the calling thread has under way from now on, as roost_flight_begin returned it; 0: nothing.
void roost_thread_flies(uint64_t flight);

/// Gives the calling thread a stack for signal handlers, without which an overflow of its own could not be marked; NULL if
/// there is no memory. To be given back before the thread ends.
void *roost_alternate_stack_begin(void);
void roost_alternate_stack_end(void *stack);

#endif
