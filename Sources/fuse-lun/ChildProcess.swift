import Glibc

/// Waits for the end of a process that this one has started.
///
/// - Returns: how it ended, as waitpid(2) has it: 0 for exit status 0.
func statusAtEnd(of process: pid_t) -> Int32 {
  var status: Int32 = 0
  while waitpid(process, &status, 0) == -1 && errno == EINTR {}
  return status
}
