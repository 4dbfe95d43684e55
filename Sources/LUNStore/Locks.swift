import Glibc

/// Lets requests through together, and what changes a LUN's structure alone.
///
/// Whoever waits to be alone goes before requests that come later; otherwise a busy LUN would never have a
/// snapshot taken. So nobody may go in twice.
final class Gate: @unchecked Sendable {
  private let lock = UnsafeMutablePointer<pthread_rwlock_t>.allocate(capacity: 1)

  init() {
    var attributes = pthread_rwlockattr_t()
    pthread_rwlockattr_init(&attributes)
    pthread_rwlockattr_setkind_np(&attributes, Int32(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP))
    pthread_rwlock_init(lock, &attributes)
    pthread_rwlockattr_destroy(&attributes)
  }

  deinit {
    pthread_rwlock_destroy(lock)
    lock.deallocate()
  }

  @inline(__always)
  func shared<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    pthread_rwlock_rdlock(lock)
    defer { pthread_rwlock_unlock(lock) }
    return try body()
  }

  /// `nil`, and `body` has not been run, where it would have to wait.
  @inline(__always)
  func sharedAtOnce<Result>(_ body: () -> Result?) -> Result? {
    guard pthread_rwlock_tryrdlock(lock) == 0 else { return nil }
    defer { pthread_rwlock_unlock(lock) }
    return body()
  }

  func alone<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    pthread_rwlock_wrlock(lock)
    defer { pthread_rwlock_unlock(lock) }
    return try body()
  }
}

/// Locks for parts of a LUN, each part a MiB and many parts to a lock: held by whoever brings blocks into a
/// layer, so that none of two overwrites what the other one wrote beside it.
final class Stripes: @unchecked Sendable {
  private static let count = 64
  private static let shift = 20 - PresenceMap.blockShift
  private let locks = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: count)

  init() {
    for index in 0..<Self.count { pthread_mutex_init(locks + index, nil) }
  }

  deinit {
    for index in 0..<Self.count { pthread_mutex_destroy(locks + index) }
    locks.deallocate()
  }

  /// Has the parts that a range of blocks is in.
  func with<Result, Failure: Error>(
    _ blocks: Range<Int>, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let first = blocks.lowerBound >> Self.shift
    let parts = min(Self.count, (blocks.upperBound - 1) >> Self.shift - first + 1)
    // In the order of their numbers, whichever comes first in the LUN.
    var wanted: UInt64 = 0
    for part in first..<(first + parts) { wanted |= 1 << UInt64(part & (Self.count - 1)) }
    forEach(wanted) { pthread_mutex_lock($0) }
    defer { forEach(wanted) { pthread_mutex_unlock($0) } }
    return try body()
  }

  private func forEach(_ set: UInt64, _ body: (UnsafeMutablePointer<pthread_mutex_t>) -> Void) {
    var rest = set
    while rest != 0 {
      body(locks + rest.trailingZeroBitCount)
      rest &= rest - 1
    }
  }
}
