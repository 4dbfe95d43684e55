import Glibc
import LUNStore

/// A LUN or a snapshot as a file that clients have open or a command works on.
final class Node: Sendable {
  let lun: LUN
  /// What requests go through on their way to the LUN.
  let stack: LayerStack
  /// The inode number; no other file of this mount ever has it.
  let number: UInt64

  private struct Openings {
    var count = 0
    var writers = 0
    /// The number of the file that the kernel goes to by itself; all who have it open do so, or none.
    var backing: Int32?
    /// How many are at work that need every request to come here.
    var pins = 0
    /// Somebody changes it who needs it closed.
    var isReserved = false
    var isGone = false
  }

  private let openings = Monitor(Openings())

  init(_ lun: LUN, number: UInt64) {
    self.lun = lun
    stack = LayerStack(lun: lun)
    self.number = number
  }

  /// The name of the file.
  var name: VolumeName { lun.volume }
}

/// Who may touch a file, as of this mount; the store does not keep it. A disk is never a program.
struct Permissions: Sendable {
  /// Of a LUN that can be written; one that cannot shows no right to write.
  private(set) var mode: mode_t
  private(set) var user: uid_t
  private(set) var group: gid_t

  init(_ rights: FileRights) { (mode, user, group) = (rights.file, rights.user, rights.group) }

  mutating func set(mode: mode_t?, user: uid_t?, group: gid_t?) {
    if let mode { self.mode = mode & 0o666 }
    if let user { self.user = user }
    if let group { self.group = group }
  }
}

// MARK: - Who has it open

extension Node {
  /// How it is open.
  enum Mode: String, Codable, Sendable {
    /// Every request comes here.
    case direct
    /// The kernel goes to the LUN's file by itself.
    case passthrough
  }

  /// How many times clients have it open.
  var openCount: Int { openings.change { $0.count } }

  /// How it is open; `nil` if it is not.
  var mode: Mode? { openings.change { $0.count == 0 ? nil : $0.backing == nil ? .direct : .passthrough } }

  /// Notes that a client opens it.
  ///
  /// - Parameter backing: registers the LUN's file with the kernel, if the kernel may go to it by itself. Asked
  ///   for the first opening only: all openings of a file have to agree.
  /// - Returns: the number of the registered file, or `nil`.
  func open(forWriting: Bool, backing: () -> Int32?) throws(IOError) -> Int32? {
    if forWriting && lun.isReadOnly { throw IOError(EROFS) }
    return try openings.change { openings throws(IOError) in
      if openings.isGone { throw IOError(ENOENT) }
      if openings.isReserved { throw IOError(EBUSY) }
      if openings.count == 0 && openings.pins == 0 { openings.backing = backing() }
      openings.count += 1
      if forWriting { openings.writers += 1 }
      return openings.backing
    }
  }

  /// Notes that a client has closed it.
  ///
  /// - Parameter giveBack: takes the LUN's file back from the kernel; called when nobody has it open any more.
  func close(forWriting: Bool, giveBack: (Int32, Node) -> Void) {
    openings.change { openings in
      openings.count -= 1
      if forWriting { openings.writers -= 1 }
      guard openings.count == 0, let backing = openings.backing else { return }
      openings.backing = nil
      giveBack(backing, self)
    }
  }

  /// Does something that needs every request to come here, from its beginning to its end.
  ///
  /// - Parameters:
  ///   - what: for messages: "a snapshot".
  ///   - point: where the store is mounted.
  /// - Throws: who has to close the file first, if the kernel goes to it by itself: that cannot be taken back
  ///   from a client that has it open.
  func withoutPassthrough<Result>(
    _ what: String, at point: String, _ body: () throws -> Result
  ) throws -> Result {
    // As in `whileClosed`.
    let comesHere = openings.wait(
      1, until: { $0.backing == nil && !$0.isReserved }, then: { $0.pins += 1 })
    guard comesHere else {
      if openings.change({ $0.isReserved }) { throw reserved }
      throw StoreError(
        .busy, at: "LUN '\(name)'",
        "is open in passthrough, and \(what) needs every request to come by the mount",
        remedy: "\(OpenClients.describe(path: "\(point)/\(name)")) has to close it first")
    }
    defer { openings.change { $0.pins -= 1 } }
    return try body()
  }

  /// Does something that nobody may have the file open for; opening it fails with `EBUSY` meanwhile.
  ///
  /// - Parameters:
  ///   - what: for messages: "a rollback".
  ///   - point: where the store is mounted.
  ///   - writersOnly: those who only read do not matter.
  func whileClosed<Result>(
    _ what: String, at point: String, writersOnly: Bool = false, remedy: String? = nil,
    _ body: () throws -> Result
  ) throws -> Result {
    try reserve(what, at: point, writersOnly: writersOnly, remedy: remedy)
    defer { giveBackReservation() }
    return try body()
  }

  /// From here on opening fails with `EBUSY`, until `giveBackReservation`; as `whileClosed` does it.
  func reserve(
    _ what: String, at point: String, writersOnly: Bool = false, remedy: String? = nil
  ) throws(StoreError) {
    // The kernel tells of a file's closing a moment after the client's close has returned.
    let isClosed = openings.wait(
      1, until: { (writersOnly ? $0.writers : $0.count) == 0 && !$0.isReserved },
      then: { $0.isReserved = true })
    guard !isClosed else { return }
    if openings.change({ $0.isReserved }) { throw reserved }
    throw StoreError(
      .busy, at: "LUN '\(name)'",
      "is open in \(OpenClients.describe(path: "\(point)/\(name)")); \(what) would pull it away from under it",
      remedy: remedy ?? "close it there first")
  }

  func giveBackReservation() { openings.change { $0.isReserved = false } }

  /// Does something below the layers, when they have written what they hold back, and before the next request.
  func whileQuiet(_ body: () throws -> Void) throws {
    if stack.isEmpty { return try body() }
    do {
      try stack.whileQuiet(body)
    } catch let error as IOError {
      throw StoreError(
        .system(error.code), at: "LUN '\(name)'",
        "what its layers hold back cannot be written: \(errorText(error.code))",
        remedy: "see to the store's file system, then try again")
    }
  }

  /// There is no such file any more, for those who still were about to open it.
  func markGone() { openings.change { $0.isGone = true } }

  private var reserved: StoreError { Self.reserved(name) }

  static func reserved(_ name: VolumeName) -> StoreError {
    StoreError(
      .busy, at: "LUN '\(name)'", "is being changed by another command", remedy: "try again when it has ended"
    )
  }
}
