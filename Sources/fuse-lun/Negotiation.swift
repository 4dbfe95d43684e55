import CFuse
import CURing
import Glibc
import Synchronization

/// What kernel and daemon agree on at the start of a session (FUSE_INIT), beyond what libfuse knows of.
///
/// Three things that the kernel can do came after the oldest libfuse this is built on (3.14): shared mappings of
/// files that are read and written directly (Linux 6.6), passthrough (Linux 6.9), and requests by rings instead of
/// by the device (Linux 6.14). libfuse lets the program read and write the device in its place; so the request tells
/// what the kernel offers, and the reply is edited on its way. Everything after that passes untouched, but for the
/// answers to requests that came by rings.
final class Negotiation: Sendable {
  /// Bits of `flags`, and after the 32nd of `flags2`, in the protocol's INIT messages.
  private enum Flag {
    static let extended: UInt64 = 1 << 30
    static let directMapping: UInt64 = 1 << 36
    static let passthrough: UInt64 = 1 << 37
    static let rings: UInt64 = RING_INIT_FLAG
  }

  private struct State {
    /// The number of the INIT request, until it is answered.
    var request: UInt64?
    var offered: UInt64 = 0
  }

  private let wanted: UInt64
  private let state = Mutex(State())
  fileprivate let isDone = Atomic(false)

  init(passthrough: Bool, rings: Bool) {
    wanted =
      Flag.extended | Flag.directMapping | (passthrough ? Flag.passthrough : 0) | (rings ? Flag.rings : 0)
  }

  /// Whether files may be opened in passthrough: it is wanted, and the kernel can.
  var allowsPassthrough: Bool { wanted & state.withLock { $0.offered } & Flag.passthrough != 0 }

  /// Puts itself between libfuse and the device of a session that is mounted and has a `MountedStore` as its
  /// user data.
  static func attach(to session: OpaquePointer) -> Int32 {
    var hooks = fuse_custom_io()
    hooks.read = { device, buffer, size, userData in
      guard let buffer, let userData else { return 0 }
      let mounted = Unmanaged<MountedStore>.fromOpaque(userData).takeUnretainedValue()
      let count = mounted.hotPath.receive(from: device, buffer, size)
      if count > 0, let negotiation = pending(userData) {
        negotiation.see(UnsafeRawBufferPointer(start: buffer, count: count))
      }
      return count
    }
    hooks.writev = { device, parts, count, userData in
      guard let parts, let userData else { return writev(device, parts, count) }
      let mounted = Unmanaged<MountedStore>.fromOpaque(userData).takeUnretainedValue()
      let reply = UnsafeBufferPointer(start: parts, count: Int(count))
      if mounted.rings.isInUse, let length = mounted.rings.take(reply, mounted) { return length }
      let isAgreement = pending(userData)?.edit(reply, mounted) ?? false
      let length = writev(device, parts, count)
      if isAgreement, length > 0 { mounted.rings.start(mounted) }
      return length
    }
    return fuse_session_custom_io(session, &hooks, fuse_session_fd(session))
  }

  /// struct fuse_in_header and struct fuse_init_in.
  fileprivate func see(_ request: UnsafeRawBufferPointer) {
    let isInit = request.count >= 60 && request.load(fromByteOffset: 4, as: UInt32.self) == 26
    guard isInit else { return }
    let flags = UInt64(request.load(fromByteOffset: 52, as: UInt32.self))
    let more = flags & Flag.extended == 0 ? 0 : UInt64(request.load(fromByteOffset: 56, as: UInt32.self))
    state.withLock { state in
      state.request = request.load(fromByteOffset: 8, as: UInt64.self)
      state.offered = flags | more << 32
    }
  }

  /// struct fuse_out_header and struct fuse_init_out.
  ///
  /// - Returns: whether it is the reply that is waited for.
  fileprivate func edit(_ reply: UnsafeBufferPointer<iovec>, _ mounted: MountedStore) -> Bool {
    let agreed = state.withLock { state -> UInt64? in
      guard let request = state.request, reply.count == 2, reply[0].iov_len == 16,
        reply[0].iov_base.load(fromByteOffset: 8, as: UInt64.self) == request
      else { return nil }
      return state.offered & wanted
    }
    guard var agreed else { return false }
    isDone.store(true, ordering: .relaxed)
    let failed = reply[0].iov_base.load(fromByteOffset: 4, as: Int32.self) != 0
    guard !failed, reply[1].iov_len >= 40, agreed & Flag.extended != 0, let body = reply[1].iov_base else {
      return true
    }
    if agreed & Flag.rings != 0 {
      let maxWrite = body.load(fromByteOffset: 20, as: UInt32.self)
      let maxPages = UInt32(body.load(fromByteOffset: 28, as: UInt16.self))
      // Once the kernel is told that there will be rings it waits for them.
      if !mounted.openRings(maxWrite: maxWrite, maxPages: maxPages) { agreed &= ~Flag.rings }
    }
    let flags = body.load(fromByteOffset: 12, as: UInt32.self)
    let more = body.load(fromByteOffset: 32, as: UInt32.self)
    body.storeBytes(of: flags | UInt32(truncatingIfNeeded: agreed), toByteOffset: 12, as: UInt32.self)
    body.storeBytes(of: more | UInt32(agreed >> 32), toByteOffset: 32, as: UInt32.self)
    // max_stack_depth: the backing file lies in a file system that is not itself on top of another one.
    if agreed & Flag.passthrough != 0 { body.storeBytes(of: 1, toByteOffset: 36, as: UInt32.self) }
    return true
  }
}

/// The negotiation of a session, as long as it is going on.
@inline(__always)
private func pending(_ userData: UnsafeMutableRawPointer?) -> Negotiation? {
  guard let userData else { return nil }
  let negotiation = Unmanaged<MountedStore>.fromOpaque(userData).takeUnretainedValue().negotiation
  return negotiation.isDone.load(ordering: .relaxed) ? nil : negotiation
}
