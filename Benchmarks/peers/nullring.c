// A file system that does nothing, over io_uring: the most that FUSE gives on that transport to files that need no
// work. Four files as those of nullfs.c, without libfuse, which has no rings in Debian 12. For root, who mounts without
// help.
//
//     nullring MOUNTPOINT BYTES      stays in the foreground; umount ends it
#define _GNU_SOURCE
#include <CURing.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 4, FIRST = 2, CAPACITY = 2 * RING_BATCH, MAX_WRITE = 1 << 20 };

static uint64_t size;

static struct fuse_attr attributes(uint64_t number) {
  struct fuse_attr file = {.ino = number, .nlink = 1, .mode = S_IFREG | 0600, .size = size, .blksize = 4096};
  if (number == FUSE_ROOT_ID) file.mode = S_IFDIR | 0700;
  return file;
}

// Answers a request: the size of what is in the payload, or the negative error number.
static int answer(const struct fuse_in_header *request, const char *arguments, char *payload) {
  switch (request->opcode) {
    case FUSE_LOOKUP: {
      if (strlen(payload) != 4 || strncmp(payload, "lun", 3) || payload[3] < '0' || payload[3] >= '0' + FILES) {
        return -ENOENT;
      }
      struct fuse_entry_out entry = {.nodeid = FIRST + (uint64_t)(payload[3] - '0'), .entry_valid = 1};
      entry.attr = attributes(entry.nodeid);
      memcpy(payload, &entry, sizeof entry);
      return sizeof entry;
    }
    case FUSE_GETATTR: {
      struct fuse_attr_out out = {.attr = attributes(request->nodeid)};
      memcpy(payload, &out, sizeof out);
      return sizeof out;
    }
    case FUSE_OPEN: {
      struct fuse_open_out out = {.open_flags = 1u << 0 | 1u << 6};  // FOPEN_DIRECT_IO, FOPEN_PARALLEL_DIRECT_WRITES
      memcpy(payload, &out, sizeof out);
      return sizeof out;
    }
    case FUSE_READ: return (int)((const struct fuse_read_in *)arguments)->size;
    case FUSE_WRITE: {
      struct fuse_write_out out = {.size = ((const struct fuse_write_in *)arguments)->size};
      memcpy(payload, &out, sizeof out);
      return sizeof out;
    }
    case FUSE_RELEASE:
    case FUSE_FLUSH:
    case FUSE_FSYNC: return 0;
    default: return -ENOSYS;
  }
}

static void *serve(void *argument) {
  struct fuse_ring *ring = argument;
  ring_pin(ring->queue);
  ring_grow(ring);
  ring_grow(ring);
  if (ring_start(ring)) return perror("ring_start"), NULL;
  while (1) {
    if (ring_wait(ring, 0)) return perror("ring_wait"), NULL;
    int index;
    while ((index = ring_next(ring)) != RING_EMPTY) {
      if (index == RING_ENDED) return NULL;
      if (index == RING_BELL) continue;
      struct ring_entry *entry = ring->entry + index;
      struct fuse_in_header *request = (struct fuse_in_header *)entry->header->in_out;
      int result = answer(request, entry->header->arguments, entry->payload);
      uint32_t length = result < 0 ? 0 : (uint32_t)result;
      struct fuse_out_header out = {sizeof out + length, result < 0 ? result : 0, request->unique};
      memcpy(entry->header->in_out, &out, sizeof out);
      ring_commit(ring, (unsigned)index, length);
    }
  }
}

int main(int count, char **words) {
  if (count != 3) return fprintf(stderr, "usage: nullring MOUNTPOINT BYTES\n"), 2;
  size = strtoull(words[2], NULL, 10);
  int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  char options[200];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%d,group_id=%d", device, getuid(), getgid());
  if (device < 0 || mount("nullring", words[1], "fuse.nullring", MS_NOSUID | MS_NODEV, options)) {
    return perror("nullring: mount"), 1;
  }

  static char buffer[MAX_WRITE + 4096];
  if (read(device, buffer, sizeof buffer) < 0) return perror("nullring: FUSE_INIT"), 1;
  struct fuse_in_header *request = (struct fuse_in_header *)buffer;
  struct fuse_init_in *offer = (struct fuse_init_in *)(request + 1);
  uint64_t offered = offer->flags | (uint64_t)offer->flags2 << 32;
  if (!(offered & RING_INIT_FLAG)) {
    umount2(words[1], MNT_DETACH);
    return fprintf(stderr, "nullring: the kernel offers no rings: /sys/module/fuse/parameters/enable_uring\n"), 1;
  }
  uint64_t flags = RING_INIT_FLAG | FUSE_INIT_EXT | FUSE_MAX_PAGES | FUSE_BIG_WRITES | FUSE_ASYNC_READ | FUSE_ASYNC_DIO |
                   FUSE_PARALLEL_DIROPS;
  struct {
    struct fuse_out_header header;
    struct fuse_init_out body;
  } reply = {{sizeof reply, 0, request->unique},
             {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_readahead = offer->max_readahead,
              .flags = (uint32_t)flags, .flags2 = (uint32_t)(flags >> 32), .max_background = 64,
              .congestion_threshold = 48, .max_write = MAX_WRITE, .max_pages = MAX_WRITE / 4096, .time_gran = 1}};
  unsigned queues = ring_queues();
  struct fuse_ring *rings = calloc(queues, sizeof *rings);
  for (unsigned queue = 0; queue < queues; queue++) {
    if (ring_open(rings + queue, device, (uint16_t)queue, CAPACITY, ring_payload_size(MAX_WRITE, MAX_WRITE / 4096))) {
      return perror("nullring: io_uring"), 1;
    }
  }
  if (write(device, &reply, sizeof reply) != sizeof reply) return perror("nullring: FUSE_INIT"), 1;
  for (unsigned queue = 0; queue < queues; queue++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve, rings + queue)) return 1;
  }
  // What comes by the device needs no answer: forgets and interrupts.
  while (read(device, buffer, sizeof buffer) > 0 || errno == EINTR || errno == EAGAIN || errno == ENOENT) {}
  return 0;
}
