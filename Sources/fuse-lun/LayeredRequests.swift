import CFuse
import Glibc
import LUNStore

// Requests for a LUN with layers. They are answered when the layers let them end: by this thread before the
// operation returns, or later by another one. No worker of libfuse waits meanwhile.

/// A request of the kernel that is to be answered by whichever thread it ends on.
private struct PendingReply: @unchecked Sendable {
  // Threads take turns with it: the one that ends the request is the only one that has it by then.
  let request: fuse_req_t?
}

/// Sends a request through the layers of a LUN.
///
/// - Parameter reply: answers the kernel if it goes well; if not, the kernel is given the error.
func submit(
  _ operation: IORequest, to node: Node, for request: fuse_req_t?,
  reply: @escaping @Sendable (fuse_req_t?, IOReply) -> Void
) {
  let token = node.stack.reserve()
  // Before it is submitted: afterwards it may be answered at any moment, and is then no longer there. What
  // libfuse keeps is a number and not an object, since it may call with it just after the answer.
  fuse_req_interrupt_func(request, interrupt, UnsafeMutableRawPointer(bitPattern: UInt(token)))
  let pending = PendingReply(request: request)
  node.stack.submit(operation, as: token) { result in
    switch result {
    case .success(let answer): reply(pending.request, answer)
    case .failure(let error): fuse_reply_err(pending.request, error.code)
    }
  }
}

/// The client that waits for a request was killed or got a signal: a request that is held ends.
private func interrupt(_ request: fuse_req_t?, _ token: UnsafeMutableRawPointer?) {
  let mounted = Unmanaged<MountedStore>.fromOpaque(fuse_req_userdata(request)).takeUnretainedValue()
  let token = LayerStack.RequestToken(UInt(bitPattern: token))
  for node in mounted.nodes where node.stack.cancel(token) { return }
}

/// Answers a read.
@Sendable func replyWithData(_ request: fuse_req_t?, _ answer: IOReply) {
  answer.data.withUnsafeBytes { bytes in
    _ = fuse_reply_buf(request, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
  }
}

/// Answers a write.
@Sendable func replyWithCount(_ request: fuse_req_t?, _ answer: IOReply) {
  fuse_reply_write(request, answer.count)
}

/// Answers what has no result.
@Sendable func replyDone(_ request: fuse_req_t?, _: IOReply) { fuse_reply_err(request, 0) }
