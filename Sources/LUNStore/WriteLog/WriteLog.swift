/// The log of everything that changed a LUN, in the order in which it reached the LUN.
///
/// With the state that the LUN had when recording began, the log rebuilds it as of any point, and as any
/// power cut at that point could have left it. dm-log-writes does the same for a block device. WRITELOG.md is
/// the specification of the file.
public enum WriteLog {
  /// What a log is about: the first block of its file.
  public struct Header: Equatable, Sendable {
    /// Identifies the log: each of its entries carries it, so that none is taken for one of another log.
    public let identifier: Identifier
    /// The LUN that was recorded.
    public let lun: LUNName
    /// Its capacity, which does not change while it is recorded.
    public let size: ByteCount
    /// Its logical block size: what a power cut leaves whole.
    public let blockSize: BlockSize
    /// What holds the LUN as it was before the first entry: the name of a snapshot of it, without the LUN's
    /// name; empty if the LUN was all zeros.
    public let base: String
    /// When recording began, in seconds since 1970.
    public let created: Int64

    /// The header of a new log.
    public init(lun: LUNName, size: ByteCount, blockSize: BlockSize, base: String, created: Int64) {
      identifier = Identifier()
      (self.lun, self.size, self.blockSize) = (lun, size, blockSize)
      (self.base, self.created) = (base, created)
    }
  }

  /// One thing that happened to the LUN.
  public struct Entry: Equatable, Sendable {
    /// What happened. Ranges are in bytes of the LUN.
    public enum Operation: Equatable, Sendable {
      /// The entry's data was written.
      case write(Range<Int64>)
      /// The range was given back, and reads as zeros.
      case discard(Range<Int64>)
      /// The range was made to read as zeros.
      case zero(Range<Int64>)
      /// What the entries with these numbers did is durable. A flush makes durable what was there when it
      /// began, and is an entry when it is done; a write with forced unit access makes durable itself.
      case flush(Range<UInt64>)
      /// A remark of the one who records.
      case mark(String)
      /// The recording ended, and why. There is nothing behind it.
      case end(String)
    }

    /// Counts from 1, without gaps.
    public let number: UInt64
    /// When it was logged, in nanoseconds since 1970.
    public let time: Int64
    /// What happened.
    public let operation: Operation
    /// What was written; empty for all but writes.
    public let data: [UInt8]
  }

  /// How a log ends.
  public enum Ending: Equatable, Sendable {
    /// As it should, with the reason that was given.
    case ended(String)
    /// It is being recorded right now.
    case recording
    /// Without an end: the recording process or the machine died, and all that a flush was acknowledged for is
    /// there; or the host had no more room, and said so. So many bytes behind the last whole entry are none.
    case cutOff(strayBytes: Int64)
  }

  /// A place between two entries, from which a reader can go on.
  public struct Position: Hashable, Sendable, Codable {
    /// The number of the entry before it; 0 at the beginning.
    public var number: UInt64
    /// Where the next entry begins in the file, in bytes.
    var offset: Int64

    /// How much of the log is before it, in bytes.
    public var bytes: Int64 { offset }

    /// Before the first entry.
    public static let start = Position(number: 0, offset: Int64(headerLength))
  }

  /// What the header takes up in the file.
  static let headerLength = 4096
  /// The longest text of a mark, or of an end, in bytes.
  public static let longestMark = 4096
  /// The longest write that is one entry, in bytes: what a reader has to have in memory.
  static let longestWrite = 64 << 20
}

extension WriteLog.Entry {
  /// The bytes of the LUN that the entry changed; `nil` if it changed none.
  public var changed: Range<Int64>? {
    switch operation {
    case .write(let range), .discard(let range), .zero(let range): range
    case .flush, .mark, .end: nil
    }
  }

  /// Does to a LUN what was done to the one that was recorded.
  ///
  /// - Parameter part: which bytes, as offsets in the LUN; all that the entry changed if it is `nil`.
  /// - Throws: the LUN's error; `ENOSPC` if it has no room for all of it.
  public func apply(to lun: any BlockDevice, part: Range<Int64>? = nil) throws(IOError) {
    guard let changed, let range = part ?? self.changed, !range.isEmpty else { return }
    switch operation {
    case .write:
      var done = Int(range.lowerBound - changed.lowerBound)
      let end = Int(range.upperBound - changed.lowerBound)
      while done < end {
        let written = data[done..<end].withUnsafeBytes { rest in
          Result { () throws(IOError) in
            try lun.write(rest, at: changed.lowerBound + Int64(done), durably: false)
          }
        }
        done += try written.get()
      }
    case .discard: try lun.punchHole(at: range.lowerBound, length: Int64(range.count))
    case .zero: try lun.zero(at: range.lowerBound, length: Int64(range.count))
    case .flush, .mark, .end: break
    }
  }
}
