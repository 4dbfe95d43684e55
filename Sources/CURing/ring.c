#define _GNU_SOURCE
#include "CURing.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// enum fuse_uring_cmd
enum { COMMAND_REGISTER = 1, COMMAND_COMMIT_AND_FETCH = 2 };

// struct fuse_uring_cmd_req, in the command's place at the end of a submission of 128 bytes
struct command {
  uint64_t flags;
  uint64_t commit;
  uint16_t queue;
  uint8_t padding[6];
};

_Static_assert(sizeof(struct ring_header) == 288, "kernel ABI");
_Static_assert(sizeof(struct command) == 24, "kernel ABI");
_Static_assert(sizeof(struct iovec) == sizeof(((struct ring_entry *)0)->parts[0]), "kernel ABI");

// A header has a page of its own, at the end of which there is room in front of the payload (see ring_message).
enum { SUBMISSION_SIZE = 128, SUBMISSIONS = 64, HEADER_SIZE = 4096, IN_HEADER_SIZE = 40 };

// What comes back with a completion: an entry's number, or this.
static const uint64_t bell_tag = UINT64_MAX;

int ring_open(struct fuse_ring *ring, int device, uint16_t queue, unsigned capacity, size_t payload_size) {
  *ring = (struct fuse_ring){
      .descriptor = -1, .device = device, .bell = -1, .queue = queue, .capacity = capacity, .payload_size = payload_size};

  // One thread submits, and the kernel does its part of the work (copying requests) when that thread waits: nobody is
  // interrupted for it.
  struct io_uring_params parameters = {
      .flags = IORING_SETUP_SQE128 | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
               IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
      // More than these at a time are kept by the kernel until there is room.
      .cq_entries = 4 * SUBMISSIONS,
  };
  ring->descriptor = (int)syscall(SYS_io_uring_setup, SUBMISSIONS, &parameters);
  if (ring->descriptor < 0) return -1;
  if (!(parameters.features & IORING_FEAT_SINGLE_MMAP) || !(parameters.features & IORING_FEAT_EXT_ARG)) {
    errno = ENOSYS;
    goto failed;
  }

  size_t submission_end = parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned);
  size_t completion_end = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
  ring->shared_size = submission_end > completion_end ? submission_end : completion_end;
  ring->submissions_size = (size_t)parameters.sq_entries * SUBMISSION_SIZE;
  ring->shared = mmap(NULL, ring->shared_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->descriptor,
                      IORING_OFF_SQ_RING);
  if (ring->shared == MAP_FAILED) goto failed;
  ring->submissions = mmap(NULL, ring->submissions_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                           ring->descriptor, IORING_OFF_SQES);
  if (ring->submissions == MAP_FAILED) goto failed;

  char *shared = ring->shared;
  ring->submission_tail = (unsigned *)(shared + parameters.sq_off.tail);
  ring->submission_mask = *(unsigned *)(shared + parameters.sq_off.ring_mask);
  ring->completion_head = (unsigned *)(shared + parameters.cq_off.head);
  ring->completion_tail = (unsigned *)(shared + parameters.cq_off.tail);
  ring->completion_mask = *(unsigned *)(shared + parameters.cq_off.ring_mask);
  ring->completions = shared + parameters.cq_off.cqes;
  // Submissions are in the order of their places.
  unsigned *order = (unsigned *)(shared + parameters.sq_off.array);
  for (unsigned index = 0; index < parameters.sq_entries; index++) order[index] = index;

  ring->entry = calloc(capacity, sizeof *ring->entry);
  ring->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (!ring->entry || ring->bell < 0) goto failed;
  return 0;

failed:;
  int code = errno;
  ring_close(ring);
  errno = code;
  return -1;
}

size_t ring_payload_size(uint32_t max_write, uint32_t max_pages) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 8192;  // FUSE_MIN_READ_BUFFER
  if (max_write > size) size = max_write;
  if (max_pages * page > size) size = max_pages * page;
  return (size + page - 1) / page * page;
}

// Tells the kernel of the submissions, and waits for `wanted` completions.
static int enter(struct fuse_ring *ring, unsigned wanted, uint64_t timeout) {
  struct timespec most = {(time_t)(timeout / 1000000000), (long)(timeout % 1000000000)};
  struct io_uring_getevents_arg argument = {.ts = (uint64_t)(uintptr_t)&most};
  unsigned flags = IORING_ENTER_GETEVENTS | (timeout ? IORING_ENTER_EXT_ARG : 0);
  unsigned count = ring->unsubmitted;
  ring->unsubmitted = 0;
  atomic_store_explicit((_Atomic unsigned *)ring->submission_tail, *ring->submission_tail + count,
                        memory_order_release);
  while (1) {
    long result = syscall(SYS_io_uring_enter, ring->descriptor, count, wanted, flags, timeout ? &argument : NULL,
                          timeout ? sizeof argument : 0);
    if (result < 0) {
      if (errno != EINTR && errno != EAGAIN && errno != EBUSY) return -1;
      if (errno == EINTR && count == 0) return 0;
      continue;
    }
    // Waiting was not come to if not all were taken.
    if ((unsigned)result >= count) return 0;
    count -= (unsigned)result;
  }
}

// The next place for a submission.
static struct io_uring_sqe *submission(struct fuse_ring *ring) {
  if (ring->unsubmitted > ring->submission_mask) enter(ring, 0, 0);
  unsigned tail = *ring->submission_tail + ring->unsubmitted++;
  char *place = (char *)ring->submissions + (size_t)(tail & ring->submission_mask) * SUBMISSION_SIZE;
  memset(place, 0, SUBMISSION_SIZE);
  return (struct io_uring_sqe *)place;
}

static void command(struct fuse_ring *ring, unsigned entry, unsigned operation, uint64_t commit) {
  struct io_uring_sqe *sqe = submission(ring);
  sqe->opcode = IORING_OP_URING_CMD;
  sqe->fd = ring->device;
  sqe->cmd_op = operation;
  sqe->user_data = entry;
  if (operation == COMMAND_REGISTER) {
    sqe->addr = (uint64_t)(uintptr_t)ring->entry[entry].parts;
    sqe->len = 2;
  }
  struct command command = {.commit = commit, .queue = ring->queue};
  memcpy(sqe->cmd, &command, sizeof command);
  ring->available++;
}

static void arm_bell(struct fuse_ring *ring) {
  struct io_uring_sqe *sqe = submission(ring);
  sqe->opcode = IORING_OP_READ;
  sqe->fd = ring->bell;
  sqe->addr = (uint64_t)(uintptr_t)&ring->bell_count;
  sqe->len = sizeof ring->bell_count;
  sqe->user_data = bell_tag;
}

int ring_grow(struct fuse_ring *ring) {
  if (ring->entries == ring->capacity) return -1;
  // The memory is taken when a request touches it: entries that are not used cost nothing, and the kernel gives the one
  // that was last used to the next request.
  size_t size = HEADER_SIZE + ring->payload_size;
  char *place = mmap(NULL, RING_BATCH * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) return -1;
  for (unsigned count = 0; count < RING_BATCH; count++, place += size) {
    struct ring_entry *entry = ring->entry + ring->entries;
    *entry = (struct ring_entry){
        .header = (struct ring_header *)place,
        .payload = place + HEADER_SIZE,
        .parts = {{place, sizeof *entry->header}, {place + HEADER_SIZE, ring->payload_size}},
    };
    command(ring, ring->entries++, COMMAND_REGISTER, 0);
  }
  return 0;
}

int ring_start(struct fuse_ring *ring) {
  if (syscall(SYS_io_uring_register, ring->descriptor, IORING_REGISTER_ENABLE_RINGS, NULL, 0) != 0) return -1;
  arm_bell(ring);
  return enter(ring, 0, 0);
}

int ring_submit(struct fuse_ring *ring) { return enter(ring, 0, 0); }

int ring_wait(struct fuse_ring *ring, uint64_t timeout) { return enter(ring, 1, timeout); }

int ring_next(struct fuse_ring *ring) {
  unsigned head = *ring->completion_head;
  if (head == atomic_load_explicit((_Atomic unsigned *)ring->completion_tail, memory_order_acquire)) return RING_EMPTY;
  struct io_uring_cqe cqe = ((struct io_uring_cqe *)ring->completions)[head & ring->completion_mask];
  atomic_store_explicit((_Atomic unsigned *)ring->completion_head, head + 1, memory_order_release);
  if (cqe.user_data == bell_tag) {
    arm_bell(ring);
    return RING_BELL;
  }
  ring->available--;
  if (cqe.res == 0) return (int)cqe.user_data;
  errno = -cqe.res;
  return RING_ENDED;
}

void ring_commit(struct fuse_ring *ring, unsigned entry, uint32_t payload_size) {
  struct ring_header *header = ring->entry[entry].header;
  header->entry.payload_size = payload_size;
  command(ring, entry, COMMAND_COMMIT_AND_FETCH, header->entry.commit);
}

void ring_trim(struct fuse_ring *ring) {
  // The kernel writes to them only in this thread, when that waits, and then says so.
  if (ring->available != ring->entries) return;
  if (*ring->completion_head != atomic_load((_Atomic unsigned *)ring->completion_tail)) return;
  size_t kept = (size_t)sysconf(_SC_PAGESIZE);
  for (unsigned index = 0; index < ring->entries && ring->payload_size > kept; index++) {
    madvise(ring->entry[index].payload + kept, ring->payload_size - kept, MADV_DONTNEED);
  }
}

char *ring_message(struct ring_entry *entry, size_t *size) {
  // struct fuse_in_header begins with the length of all of it.
  uint32_t length;
  memcpy(&length, entry->header->in_out, sizeof length);
  size_t payload = entry->header->entry.payload_size;
  if (length < IN_HEADER_SIZE + payload) return NULL;
  size_t arguments = length - IN_HEADER_SIZE - payload;
  if (arguments > sizeof entry->header->arguments) return NULL;
  char *place = entry->payload - IN_HEADER_SIZE - arguments;
  memcpy(place, entry->header->in_out, IN_HEADER_SIZE);
  memcpy(place + IN_HEADER_SIZE, entry->header->arguments, arguments);
  *size = length;
  return place;
}

void ring_wake(struct fuse_ring *ring) {
  uint64_t one = 1;
  while (write(ring->bell, &one, sizeof one) < 0 && errno == EINTR) {}
}

void ring_close(struct fuse_ring *ring) {
  if (ring->descriptor >= 0) close(ring->descriptor);
  if (ring->bell >= 0) close(ring->bell);
  if (ring->shared && ring->shared != MAP_FAILED) munmap(ring->shared, ring->shared_size);
  if (ring->submissions && ring->submissions != MAP_FAILED) munmap(ring->submissions, ring->submissions_size);
  for (unsigned index = 0; index < ring->entries; index += RING_BATCH) {
    munmap(ring->entry[index].header, RING_BATCH * (HEADER_SIZE + ring->payload_size));
  }
  free(ring->entry);
  *ring = (struct fuse_ring){.descriptor = -1, .bell = -1};
}

unsigned ring_queues(void) {
  // Like "0-7": num_possible_cpus() counts them, and they have no gaps where FUSE numbers its queues by them.
  FILE *file = fopen("/sys/devices/system/cpu/possible", "re");
  unsigned last = 0;
  int found = file ? fscanf(file, "0-%u", &last) : 0;
  if (file) fclose(file);
  return found == 1 ? last + 1 : file ? 1 : 0;
}

int ring_pin(unsigned processor) {
  cpu_set_t *set = CPU_ALLOC(processor + 1);
  size_t size = CPU_ALLOC_SIZE(processor + 1);
  if (!set) return -1;
  CPU_ZERO_S(size, set);
  CPU_SET_S(processor, size, set);
  int result = sched_setaffinity(0, size, set);
  CPU_FREE(set);
  return result;
}
