// libblkid of util-linux: partition tables and file-system signatures.
#include <blkid.h>
