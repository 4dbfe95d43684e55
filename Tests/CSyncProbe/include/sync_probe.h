#pragma once

/// Called after each fsync and fdatasync of this process that succeeded, with the descriptor; by its thread.
void sync_probe_set(void (*_Nullable called)(int file));
