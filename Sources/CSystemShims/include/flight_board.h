// SPDX-License-Identifier: Apache-2.0
// Shared memory in which a worker notes what it has under way, so that its host can read that whatever becomes of it.
#ifndef ROOST_FLIGHT_BOARD_H
#define ROOST_FLIGHT_BOARD_H

#include <stdint.h>

typedef struct roost_board roost_board;

/// What a slot says; `kind` is not 0.
typedef struct roost_flight {
  uint64_t task_high, task_low;
  int64_t started_at;
  uint32_t take;
  uint32_t type;
  uint32_t kind;
} roost_flight;

typedef struct roost_crash {
  int signal;
  /// Whether the flight of the thread that crashed is known and still stands.
  int has_flight;
  roost_flight flight;
} roost_crash;

/// More slots than a crash mark can name are not made.
#define ROOST_MOST_SLOTS 0xfffffeU

/// Makes the memory; a descriptor that is closed on exec, or -errno. Nobody can change its size any more.
int roost_board_make(uint32_t slots);

/// Maps the memory of such a descriptor; NULL if it is not a board with so many slots.
roost_board *roost_board_map(int descriptor, uint32_t slots, int writable);
void roost_board_unmap(roost_board *board, uint32_t slots);

/// Fills a free slot, which belongs to the caller, and returns what names this flight: never 0.
uint64_t roost_flight_begin(roost_board *board, uint32_t slot, const roost_flight *flight);
void roost_flight_end(roost_board *board, uint32_t slot);

/// Reads a slot as it was at one moment; 0 if nothing was under way in it. May be called beside a writer in another process.
int roost_flight_read(const roost_board *board, uint32_t slot, roost_flight *flight);

/// Notes a crash, unless one stands there already whose flight is not over. `flight` is what begin returned, or 0.
/// Async-signal-safe.
void roost_crash_write(roost_board *board, uint64_t flight, int signal);

/// The crash that was noted; 0 if there is none.
int roost_crash_read(const roost_board *board, uint32_t slots, roost_crash *crash);

/// The mark as it stands if it names no flight, to be compared and taken away by a process that has outlived it; else 0: the
/// end of its flight shows that one that names it is over, however long a handler of a plugin's takes before the process ends.
uint64_t roost_nameless_mark(const roost_board *board);
void roost_crash_remove(roost_board *board, uint64_t mark);

#endif
