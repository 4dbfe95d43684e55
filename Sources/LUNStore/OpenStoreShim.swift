import Synchronization

/// Bytes done, and bytes in all.
public typealias Progress = @Sendable (_ done: Int64, _ total: Int64) -> Void

/// A store in the hands of the one process that holds its lock.
public final class OpenStore: Sendable {
  /// The store.
  public let store: Store
  private let lock: StoreLock
  private let open = Mutex<[LUNName: LUN]>([:])

  /// Opens a store and takes its lock.
  ///
  /// - Throws: `busy`, naming the process that has it.
  public init(_ path: String, at mountpoint: String) throws(StoreError) {
    store = try Store.open(path)
    lock = try store.serve(at: mountpoint)
  }

  /// Gives the lock back.
  public func release() { lock.release() }

  /// The one shared instance of a LUN.
  public func lun(_ name: LUNName) throws(StoreError) -> LUN {
    let outcome: Result<LUN, StoreError> = open.withLock { open in
      if let lun = open[name] { return .success(lun) }
      do throws(StoreError) {
        let lun = try store.openLUN(name, .readWrite)
        open[name] = lun
        return .success(lun)
      } catch { return .failure(error) }
    }
    return try outcome.get()
  }
}
