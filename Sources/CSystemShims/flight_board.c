// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "flight_board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// Changed whenever the layout is: host and worker are one program, but a worker may be given a wrong descriptor.
#define MAGIC 0x31647262746f6f72ULL

// A line of the cache each, so that threads do not slow each other down.
typedef struct slot {
  // The number of the flight, shifted by 8 bits, and its kind; kind 0: over, or not filled yet. It is written last.
  _Atomic uint64_t state;
  _Atomic uint64_t task_high, task_low;
  _Atomic int64_t started_at;
  _Atomic uint32_t take, type;
  uint64_t unused[3];
} slot;

struct roost_board {
  uint64_t magic;
  uint32_t slots;
  uint32_t unused;
  // 0, or from the top: signal + 1 (8 bits), slot + 1 or 0 (24 bits), the low half of the flight's number.
  _Atomic uint64_t crash;
  uint64_t more[5];
  slot slot[];
};

_Static_assert(sizeof(slot) == 64 && offsetof(roost_board, slot) == 64, "a slot is a line of the cache");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock in shared memory would stay locked by the dead");

static size_t size_of(uint32_t slots) { return sizeof(roost_board) + (size_t)slots * sizeof(slot); }

int roost_board_make(uint32_t slots) {
  if (slots > ROOST_MOST_SLOTS) return -EINVAL;
  int fd = memfd_create("roost-flights", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return -errno;
  roost_board head = {.magic = MAGIC, .slots = slots};
  // Sealed, because reading memory that a worker has cut off would be the end of its host.
  if (ftruncate(fd, (off_t)size_of(slots)) != 0 || pwrite(fd, &head, sizeof head, 0) != (ssize_t)sizeof head ||
      fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

roost_board *roost_board_map(int descriptor, uint32_t slots, int writable) {
  struct stat file;
  if (slots > ROOST_MOST_SLOTS || fstat(descriptor, &file) != 0 || file.st_size != (off_t)size_of(slots)) return NULL;
  roost_board *board = mmap(NULL, size_of(slots), PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, descriptor, 0);
  if (board == MAP_FAILED) return NULL;
  if (board->magic == MAGIC && board->slots == slots) return board;
  roost_board_unmap(board, slots);
  return NULL;
}

void roost_board_unmap(roost_board *board, uint32_t slots) { munmap(board, size_of(slots)); }

uint64_t roost_flight_begin(roost_board *board, uint32_t index, const roost_flight *flight) {
  slot *slot = &board->slot[index];
  uint64_t number = (atomic_load_explicit(&slot->state, memory_order_relaxed) >> 8) + 1;
  // Who reads any of what follows sees that the flight before is over.
  atomic_thread_fence(memory_order_release);
  atomic_store_explicit(&slot->task_high, flight->task_high, memory_order_relaxed);
  atomic_store_explicit(&slot->task_low, flight->task_low, memory_order_relaxed);
  atomic_store_explicit(&slot->started_at, flight->started_at, memory_order_relaxed);
  atomic_store_explicit(&slot->take, flight->take, memory_order_relaxed);
  atomic_store_explicit(&slot->type, flight->type, memory_order_relaxed);
  atomic_store_explicit(&slot->state, number << 8 | (flight->kind & 0xff), memory_order_release);
  return (uint64_t)(index + 1) << 32 | (number & 0xffffffff);
}

void roost_flight_end(roost_board *board, uint32_t index) {
  slot *slot = &board->slot[index];
  uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
  atomic_store_explicit(&slot->state, state & ~0xffULL, memory_order_release);
}

// The state that the content was read at; kind 0: nothing was read.
static uint64_t read_slot(const slot *slot, roost_flight *flight) {
  // Flights seldom change between two looks; memory that plugin code writes in for ever must not hold up the host.
  for (int tries = 0; tries < 1000; tries++) {
    uint64_t before = atomic_load_explicit(&slot->state, memory_order_acquire);
    if (!(before & 0xff)) return before;
    flight->task_high = atomic_load_explicit(&slot->task_high, memory_order_relaxed);
    flight->task_low = atomic_load_explicit(&slot->task_low, memory_order_relaxed);
    flight->started_at = atomic_load_explicit(&slot->started_at, memory_order_relaxed);
    flight->take = atomic_load_explicit(&slot->take, memory_order_relaxed);
    flight->type = atomic_load_explicit(&slot->type, memory_order_relaxed);
    flight->kind = before & 0xff;
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&slot->state, memory_order_relaxed) == before) return before;
  }
  return 0;
}

int roost_flight_read(const roost_board *board, uint32_t index, roost_flight *flight) {
  return (read_slot(&board->slot[index], flight) & 0xff) != 0;
}

static uint32_t slot_of(uint64_t mark) { return (mark >> 32) & 0xffffff; }

static int is_flight(uint64_t mark, uint64_t state) {
  return (state & 0xff) != 0 && ((state >> 8) & 0xffffffff) == (mark & 0xffffffff);
}

void roost_crash_write(roost_board *board, uint64_t flight, int signal) {
  uint64_t mark = (uint64_t)(signal + 1) << 56 | flight;
  uint64_t first = atomic_load(&board->crash);
  do {
    uint32_t slot = slot_of(first);
    // One that was survived, by a signal handler of the plugin's say, must not stand in for the one that was not.
    int is_over = slot && !is_flight(first, atomic_load(&board->slot[slot - 1].state));
    if (first && !is_over) return;
  } while (!atomic_compare_exchange_weak(&board->crash, &first, mark));
}

int roost_crash_read(const roost_board *board, uint32_t slots, roost_crash *crash) {
  uint64_t mark = atomic_load(&board->crash);
  if (!mark) return 0;
  crash->signal = (int)(mark >> 56) - 1;
  uint32_t slot = slot_of(mark);
  // The worker's memory may be spoilt in any way.
  crash->has_flight = slot && slot <= slots && is_flight(mark, read_slot(&board->slot[slot - 1], &crash->flight));
  return 1;
}

uint64_t roost_nameless_mark(const roost_board *board) {
  uint64_t mark = atomic_load(&board->crash);
  return slot_of(mark) ? 0 : mark;
}

void roost_crash_remove(roost_board *board, uint64_t mark) {
  atomic_compare_exchange_strong(&board->crash, &mark, 0);
}
