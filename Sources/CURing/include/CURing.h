// FUSE over io_uring (Linux 6.14): the requests of a mount come by rings in memory that kernel and daemon share, and
// one system call answers a batch of them and fetches the next ones.
//
// The kernel has one queue for each processor, and puts a request into the queue of the processor that its client runs
// on. A queue has entries, each with buffers for one request, which are the kernel's or the daemon's in turn:
//
//     ring_open, ring_start     all are the kernel's; one thread does all that follows
//     ring_wait, ring_next      an entry with a request in it is the daemon's
//     ring_commit               with the answer in it: the kernel's again, as of the next ring_wait
//
// <linux/fuse.h> of Debian 12 is older, and liburing would be a dependency for what is said here in few lines: sources
// are the kernel's include/uapi/linux/fuse.h (7.42), include/uapi/linux/io_uring.h and fs/fuse/dev_uring.c.
#ifndef CURING_H
#define CURING_H

#include <stddef.h>
#include <stdint.h>

// In the flags of FUSE_INIT: the kernel offers it if the parameter `enable_uring` of its module `fuse` is set.
#define RING_INIT_FLAG (1ull << 41)

// What goes with each request (struct fuse_uring_req_header).
struct ring_header {
  // struct fuse_in_header, and struct fuse_out_header in the answer.
  char in_out[128];
  // The first argument of the operation. All others, and all of the answer, are in the payload.
  char arguments[128];
  struct {
    uint64_t flags;
    // What the kernel knows the request by.
    uint64_t commit;
    uint32_t payload_size;
    uint32_t padding;
    uint64_t reserved;
  } entry;
};

struct ring_entry {
  struct ring_header *header;
  char *payload;
  // As the kernel takes them when the entry is registered: header and payload.
  struct {
    void *base;
    size_t length;
  } parts[2];
};

struct fuse_ring {
  // The io_uring, the device of the mount, and the descriptor by which other threads wake this ring's.
  int descriptor, device, bell;
  uint16_t queue;
  size_t payload_size;
  // By their numbers; those that have been registered so far, of `capacity` that there may be.
  struct ring_entry *entry;
  unsigned entries, capacity;
  // How many entries are the kernel's.
  unsigned available;
  uint64_t bell_count;
  // The shared memory.
  unsigned *submission_tail, *completion_head, *completion_tail;
  unsigned submission_mask, completion_mask, unsubmitted;
  void *submissions, *completions, *shared;
  size_t shared_size, submissions_size;
};

// Entries come in batches of this many.
enum { RING_BATCH = 16 };

// What ring_next says if it is no entry.
enum {
  RING_EMPTY = -1,  // nothing more has come; ring_wait
  RING_BELL = -2,   // ring_wake was called
  RING_ENDED = -3,  // the connection is over, or the kernel refused an entry; errno says which
};

// Prepares a ring for a queue: what can fail fails here, and nothing is the kernel's yet.
//
// capacity: the most entries that there may ever be, a multiple of RING_BATCH.
// payload_size: the most that a request or an answer may have beside its headers; see ring_payload_size.
// Returns 0, or -1 and errno: EPERM where io_uring is forbidden, EINVAL or ENOSYS where the kernel is too old.
int ring_open(struct fuse_ring *ring, int device, uint16_t queue, unsigned capacity, size_t payload_size);

// What the kernel demands, after what FUSE_INIT agreed on.
size_t ring_payload_size(uint32_t max_write, uint32_t max_pages);

// Takes the ring into use: from here on it is the calling thread's, but for ring_wake. Gives the kernel what ring_grow was
// called for.
int ring_start(struct fuse_ring *ring);

// Gives the kernel another batch of entries, as of the next ring_wait. Returns 0, or -1 where there is no memory or the
// capacity has been come to.
int ring_grow(struct fuse_ring *ring);

// Tells the kernel of what was committed and grown.
int ring_submit(struct fuse_ring *ring);

// As ring_submit, and waits until something comes, `timeout` nanoseconds at most unless that is
// 0. Returns 0, or -1 and errno: ETIME.
int ring_wait(struct fuse_ring *ring, uint64_t timeout);

// The entry that a request has come in, or one of RING_…
int ring_next(struct fuse_ring *ring);

// The request as a read of the device would have given it, in one piece: the arguments are put in front of the payload.
// NULL if it makes no sense.
char *ring_message(struct ring_entry *entry, size_t *size);

// Gives an entry back with the answer in it: payload_size bytes of payload, and the header's in_out.
void ring_commit(struct fuse_ring *ring, unsigned entry, uint32_t payload_size);

// Gives back the memory of all payloads but for the first page of each, until they are needed again. Does nothing
// unless all entries are the kernel's.
void ring_trim(struct fuse_ring *ring);

// Makes the ring's thread return from ring_wait. From any thread.
void ring_wake(struct fuse_ring *ring);

// After its thread has ended, if one was started.
void ring_close(struct fuse_ring *ring);

// How many queues the kernel has: one for each processor that there may ever be. 0 if that cannot be found out.
unsigned ring_queues(void);

// Keeps the calling thread on one processor. Returns 0, or -1 and errno: EINVAL if there is no such one now.
int ring_pin(unsigned processor);

#endif
