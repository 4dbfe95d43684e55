#pragma once

/// Called after each fsync and fdatasync of this process that succeeded, with the descriptor; by its thread. Returns 0,
/// or the error number that it then fails with all the same.
void sync_probe_set(int (*_Nullable called)(int file));
