// libfuse 3, low-level API. What Swift cannot import (macros with arguments, versioned symbols, va_list)
// is wrapped here and nothing else is.
#ifndef CFUSE_SHIM_H
#define CFUSE_SHIM_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <stdint.h>
#include <string.h>
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

// The kernel's answer to OPEN (struct fuse_open_out). Sent by hand since libfuse has a field for
// FOPEN_PARALLEL_DIRECT_WRITES (Linux 6.2; older kernels ignore it) only from 3.14.1 on; without that flag
// the kernel lets one write at a time into a file.
static inline int cfuse_reply_open_direct(fuse_req_t request, uint64_t handle) {
  struct {
    uint64_t handle;
    uint32_t flags;
    uint32_t padding;
  } answer = {handle, 1u << 0 /* FOPEN_DIRECT_IO */ | 1u << 6 /* FOPEN_PARALLEL_DIRECT_WRITES */, 0};
  return fuse_reply_buf(request, (const char *)&answer, sizeof answer);
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
