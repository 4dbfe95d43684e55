// libfuse 3, low-level API. What Swift cannot import (macros with arguments, versioned symbols, va_list)
// is wrapped here and nothing else is.
#ifndef CFUSE_SHIM_H
#define CFUSE_SHIM_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <syslog.h>

// FUSE_ARGS_INIT is a macro with arguments.
static inline struct fuse_args cfuse_args(int argc, char **argv) {
  struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
  return args;
}

// From libfuse 3.17 on, fuse_session_new is a macro.
static inline struct fuse_session *cfuse_session_new(
    struct fuse_args *args, const struct fuse_lowlevel_ops *operations, void *userdata) {
  return fuse_session_new(args, operations, sizeof *operations, userdata);
}

// fuse_session_loop_mt is a versioned symbol. Each worker reads from its own clone of the device.
static inline int cfuse_session_loop(struct fuse_session *session) {
  struct fuse_loop_config *config = fuse_loop_cfg_create();
  if (!config) return -1;
  fuse_loop_cfg_set_clone_fd(config, 1);
  int result = fuse_session_loop_mt(session, config);
  fuse_loop_cfg_destroy(config);
  return result;
}

// The kernel's answer to OPEN (struct fuse_open_out), sent by hand since libfuse has fields for what came
// late only from 3.14.1 on: FOPEN_PARALLEL_DIRECT_WRITES (Linux 6.2; without it the kernel lets one write at a
// time into a file), and FOPEN_PASSTHROUGH (Linux 6.9) with the number of the backing file. Older kernels ignore
// the first, and are not sent the second.
static inline int cfuse_reply_open(fuse_req_t request, uint64_t handle, int32_t backing) {
  struct {
    uint64_t handle;
    uint32_t flags;
    int32_t backing;
  } answer = {handle, 1u << 0 /* FOPEN_DIRECT_IO */ | 1u << 6 /* FOPEN_PARALLEL_DIRECT_WRITES */, 0};
  if (backing > 0) {
    answer.flags = 1u << 7 /* FOPEN_PASSTHROUGH */;
    answer.backing = backing;
  }
  return fuse_reply_buf(request, (const char *)&answer, sizeof answer);
}

// Registers a file that the kernel may go to by itself (struct fuse_backing_map), or takes it back.
static inline int cfuse_open_backing(struct fuse_session *session, int file) {
  struct {
    int32_t fd;
    uint32_t flags;
    uint64_t padding;
  } map = {file, 0, 0};
  return ioctl(fuse_session_fd(session), _IOW(229, 1, map), &map);
}

static inline int cfuse_close_backing(struct fuse_session *session, uint32_t backing) {
  return ioctl(fuse_session_fd(session), _IOW(229, 2, backing), &backing);
}

// A daemon has no terminal: what libfuse has to say goes to the system log. Its levels are syslog's.
static inline void cfuse_log_to_syslog(enum fuse_log_level level, const char *format, va_list arguments) {
  vsyslog((int)level, format, arguments);
}

static inline void cfuse_use_syslog(void) {
  openlog("fuse-lun", LOG_PID, LOG_DAEMON);
  fuse_set_log_func(cfuse_log_to_syslog);
}

static inline void cfuse_syslog(int level, const char *message) { syslog(level, "%s", message); }

#endif
