import Glibc

// The logs of a LUN are files in its folder: `log-1`, `log-2`, … The snapshot that a log begins with has the
// same name as its file.

extension Store {
  private static let logPrefix = "log-"
  /// There always is a next number.
  static let lastLog = 999_999_999

  /// The name of a log's file, and the label of the snapshot that it begins with.
  public static func logName(_ number: Int) -> String { "\(logPrefix)\(number)" }

  /// The numbers of the logs of a LUN, in order.
  ///
  /// - Throws: `absent` if there is no such LUN.
  public func logs(of lun: LUNName) throws(StoreError) -> [Int] {
    try lunFolder(lun).entries().compactMap { Self.logNumber($0) }.sorted()
  }

  /// The number of the log that begins with a snapshot, if one does.
  ///
  /// - Throws: `absent` if there is no such LUN.
  public func log(on snapshot: SnapshotName) throws(StoreError) -> Int? {
    try logs(of: snapshot.lun).first { Self.logName($0) == snapshot.label.text }
  }

  /// Opens a log to read it.
  ///
  /// - Parameters:
  ///   - number: which one; the newest if it is `nil`.
  ///   - position: where to read on.
  /// - Throws: `absent` if there is no such log, and what `WriteLog.Reader` throws.
  public func log(
    _ number: Int? = nil, of lun: LUNName, from position: WriteLog.Position = .start
  ) throws(StoreError) -> (number: Int, reader: WriteLog.Reader) {
    let numbers = try logs(of: lun)
    guard let last = numbers.last else {
      throw StoreError(
        .absent, at: "LUN '\(lun)'", "has no write log",
        remedy: "'fuse-lun log STORE \(lun) record' begins one")
    }
    guard let folder = try openFolder(lun),
      let file = try folder.openFileIfPresent(Self.logName(number ?? last), O_RDONLY)
    else {
      throw StoreError(
        .absent, at: "LUN '\(lun)'", "has no write log \(number ?? last)",
        remedy: "it has " + numbers.map(String.init).joined(separator: ", "))
    }
    return (number ?? last, try WriteLog.Reader(file, from: position))
  }

  /// Removes the file of a log that nobody records.
  ///
  /// - Throws: `absent`, `busy`, or the failing system call.
  public func removeLog(_ number: Int, of lun: LUNName) throws(StoreError) {
    let folder = try lunFolder(lun)
    let name = Self.logName(number)
    guard let file = try folder.openFileIfPresent(name, O_RDONLY) else {
      throw StoreError(.absent, at: "LUN '\(lun)'", "has no write log \(number)")
    }
    guard !file.isLockedByAnother else {
      throw StoreError(
        .busy, at: file.path, "is being recorded", remedy: "'fuse-lun log STORE \(lun) record --stop' ends it"
      )
    }
    guard unlinkat(folder.raw, name, 0) == 0 else { throw .system("remove", file.path) }
    try folder.synchronize()
  }

  /// The number in the name of a log's file; `nil` for any other name.
  static func logNumber(_ name: String) -> Int? {
    guard name.hasPrefix(logPrefix), let number = Int(name.dropFirst(logPrefix.utf8.count)),
      (1...lastLog).contains(number), name == logName(number)
    else { return nil }
    return number
  }
}

extension OpenStore {
  /// Begins the next log of a LUN. The snapshot that it refers to is the caller's to take.
  ///
  /// - Throws: `absent`, or the failing system call.
  public func createLog(of name: LUNName) throws(StoreError) -> (number: Int, writer: WriteLog.Writer) {
    let lun = try lun(name)
    let folder = try store.lunFolder(name)
    let taken = try folder.entries().compactMap { entry in
      Store.logNumber(entry.hasPrefix("@") ? String(entry.dropFirst()) : entry)
    }
    let last = taken.max() ?? 0
    guard last < Store.lastLog else {
      throw StoreError(
        .exists, at: "LUN '\(name)'",
        "has a log or a snapshot '\(Store.logName(last))', after which no number is left",
        remedy: "delete it")
    }
    let number = last + 1
    let header = WriteLog.Header(
      lun: name, size: ByteCount(lun.size), blockSize: lun.description.blockSize,
      base: Store.logName(number), created: Int64(time(nil)))
    return (number, try WriteLog.Writer(creating: Store.logName(number), in: folder, header))
  }
}
