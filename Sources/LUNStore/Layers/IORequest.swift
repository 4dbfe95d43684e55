import Glibc

/// One request of a client of a LUN, on its way through the layers.
public struct IORequest: Sendable {
  /// What is asked for.
  public enum Kind: String, CaseIterable, Codable, Sendable {
    case read, write, flush, discard, zero, allocate
  }

  /// What is asked for.
  public let kind: Kind
  /// The first byte; 0 for a flush.
  public let offset: Int64
  /// The number of bytes; 0 for a flush.
  public let length: Int64
  /// What is to be written; empty for everything else.
  public let data: [UInt8]
  /// Whether a write has to be durable before it is acknowledged.
  public let forceUnitAccess: Bool
  /// Tells the requests of one stack apart; set by the stack.
  public internal(set) var number: UInt64 = 0
  /// What layers have done to it so far.
  public var mishap = Mishap()

  private init(_ kind: Kind, _ offset: Int64, _ length: Int64, _ data: [UInt8], forceUnitAccess: Bool) {
    (self.kind, self.offset, self.length) = (kind, offset, length)
    (self.data, self.forceUnitAccess) = (data, forceUnitAccess)
  }

  /// A read of `length` bytes.
  public static func read(at offset: Int64, length: Int64) -> Self {
    Self(.read, offset, length, [], forceUnitAccess: false)
  }

  /// A write of `data`.
  public static func write(_ data: [UInt8], at offset: Int64, forceUnitAccess: Bool = false) -> Self {
    Self(.write, offset, Int64(data.count), data, forceUnitAccess: forceUnitAccess)
  }

  /// A flush of all that was acknowledged.
  public static let flush = Self(.flush, 0, 0, [], forceUnitAccess: false)

  /// A discard, zeroing or allocation.
  public static func change(_ kind: Kind, at offset: Int64, length: Int64) -> Self {
    Self(kind, offset, length, [], forceUnitAccess: false)
  }

  /// The bytes that it is about; empty for a flush.
  public var range: Range<Int64> {
    let (end, overflow) = offset.addingReportingOverflow(Swift.max(0, length))
    return offset..<(overflow ? .max : end)
  }

  /// Whether it changes what the LUN holds.
  public var isChange: Bool { kind == .write || kind == .discard || kind == .zero }
}

/// What goes wrong with a request that is let through.
public struct Mishap: Equatable, Sendable {
  /// The parts of a write that reach the disk, in bytes from its beginning; `nil` for all of it.
  public var reaching: [Range<Int64>]?
  /// Where a write lands instead of where it was meant to.
  public var landing: Int64?
  /// The bits of a read's result that are turned over, counted from its first byte's least significant one.
  public var flippedBits: [Int64] = []
  /// The error that a request ends with after it did its work.
  public var code: Int32?
  /// The power fails just after.
  var powerCut: PowerCut?

  /// Nothing goes wrong.
  public init() {}
}

/// What a client is answered.
public struct IOReply: Equatable, Sendable {
  /// The number of bytes read or written; 0 for other requests.
  public var count: Int
  /// What was read; empty for other requests.
  public var data: [UInt8]

  /// An answer.
  public init(count: Int = 0, data: [UInt8] = []) { (self.count, self.data) = (count, data) }
}

extension IORequest {
  /// Does to a device what is asked for, as far as the mishap lets it.
  func perform(on device: any BlockDevice) -> Result<IOReply, IOError> {
    do throws(IOError) {
      let reply = try carriedOut(on: device)
      if let code = mishap.code { throw IOError(code) }
      return .success(reply)
    } catch {
      return .failure(error)
    }
  }

  /// Does to a device what is asked for; a mishap decides what of it is done, and not how it ends.
  public func carriedOut(on device: any BlockDevice) throws(IOError) -> IOReply {
    switch kind {
    case .read: return try read(from: device)
    case .write: return IOReply(count: try write(to: device))
    case .flush: try device.flush()
    case .discard: try device.punchHole(at: offset, length: length)
    case .zero: try device.zero(at: offset, length: length)
    case .allocate: try device.allocate(at: offset, length: length)
    }
    return IOReply()
  }

  private func read(from device: any BlockDevice) throws(IOError) -> IOReply {
    var failure: IOError?
    var data = [UInt8](unsafeUninitializedCapacity: Int(length)) { buffer, count in
      do throws(IOError) {
        let whole = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: Int(length))
        count = try device.read(into: whole, at: offset)
      } catch {
        (failure, count) = (error, 0)
      }
    }
    if let failure { throw failure }
    for bit in mishap.flippedBits where bit / 8 < data.count { data[Int(bit / 8)] ^= 1 << UInt8(bit % 8) }
    return IOReply(count: data.count, data: data)
  }

  private func write(to device: any BlockDevice) throws(IOError) -> Int {
    guard mishap.reaching != nil || mishap.landing != nil else {
      return try write(0..<length, to: device, at: offset)
    }
    // Acknowledged as if it had gone well: up to the end of the device, and not at all past it.
    let acknowledged = Swift.min(length, device.size - offset)
    guard acknowledged > 0 || length == 0 else { throw IOError(ENOSPC) }
    let start = mishap.landing ?? offset
    for part in mishap.reaching ?? [0..<length] where start + part.lowerBound < device.size {
      _ = try write(part, to: device, at: start + part.lowerBound)
    }
    return Int(acknowledged)
  }

  private func write(
    _ part: Range<Int64>, to device: any BlockDevice, at place: Int64
  ) throws(IOError) -> Int {
    let outcome = data.withUnsafeBytes { bytes in
      Result { () throws(IOError) in
        let part = UnsafeRawBufferPointer(rebasing: bytes[Int(part.lowerBound)..<Int(part.upperBound)])
        return try device.write(part, at: place, durably: forceUnitAccess)
      }
    }
    return try outcome.get()
  }
}
