// libnbd, loaded when an NBD image is first used and not before: it brings in twenty libraries (TLS, XML and their
// own), which would cost every command of fuse-lun more than all else it does, and be needed where no NBD is.
#ifndef CNBD_H
#define CNBD_H

#include <libnbd.h>

// The functions that are used, each a field `name` for libnbd's `nbd_name`, with the type that <libnbd.h> gives it.
#define CNBD_FUNCTIONS(X) \
  X(create) X(close) X(get_error) X(get_errno) X(set_uri_allow_local_file) X(add_meta_context) \
  X(aio_connect_uri) X(aio_is_connecting) X(aio_is_ready) X(aio_is_dead) X(aio_is_closed) X(aio_disconnect) \
  X(poll) X(get_size) X(get_block_size) X(can_meta_context) X(aio_pread) X(aio_block_status) \
  X(aio_command_completed)

struct cnbd_library {
#define CNBD_FIELD(name) __typeof__(nbd_##name) *name;
  CNBD_FUNCTIONS(CNBD_FIELD)
#undef CNBD_FIELD
};

// The library, or NULL and in *problem what the dynamic linker says about it. The answer never changes.
const struct cnbd_library *cnbd_load(const char **problem);

#endif
