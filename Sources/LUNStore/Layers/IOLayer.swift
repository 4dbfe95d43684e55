/// Something that stands between the clients of a LUN and its bytes: it delays, refuses, counts, logs or
/// holds back.
///
/// There are two kinds. A `RequestLayer` decides when and whether a request goes on, and never touches data. A
/// `DiskLayer` stands behind all of those and before the LUN, and sees what reaches the disk, in the order in
/// which it does.
public protocol IOLayer: Sendable {
  /// What it is, as it is called on the command line: `delay`.
  var kind: String { get }
  /// How it was set up, in the order of the command line: `read=5ms`.
  var settings: [LayerSetting] { get }
  /// What it has seen and done so far.
  var counters: [LayerCounter] { get }
  /// Why it does less than one may think, or nothing at all, on a LUN like this one; one sentence each.
  func warnings(on device: any BlockDevice) -> [String]
}

extension IOLayer {
  /// None.
  public var settings: [LayerSetting] { [] }
  /// None.
  public var counters: [LayerCounter] { [] }
  /// None.
  public func warnings(on device: any BlockDevice) -> [String] { [] }
}

/// One option of a layer, with its value as a person would write it.
public struct LayerSetting: Codable, Equatable, Sendable {
  /// The name of the option.
  public var name: String
  /// Its value.
  public var value: String

  /// An option with its value.
  public init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
}

/// One number that a layer counts.
public struct LayerCounter: Codable, Equatable, Sendable {
  /// What is counted, with the unit where it is not a number of requests.
  public var name: String
  /// How many.
  public var value: Int64

  /// A count.
  public init(_ name: String, _ value: Int64) { (self.name, self.value) = (name, value) }
}

/// What a layer decides about a request.
public enum Verdict: Equatable, Sendable {
  /// It goes on to the next layer.
  case pass
  /// It ends here with this error number.
  case fail(Int32)
  /// It waits here: until then, or with `nil` until the layer is removed. `then` is what becomes of it at the
  /// end of the time; when the layer is removed first, it goes on.
  indirect case hold(until: Instant?, then: Verdict)
  /// The power fails just after it has reached the disk: every request under way fails, and what `DiskLayer`s
  /// hold in volatile memory is lost.
  case cutPower(PowerCut)
}

/// How the power fails.
public struct PowerCut: Equatable, Sendable {
  /// Chooses what survives of what was not flushed.
  public var seed: UInt64
  /// Whether it tears blocks of more than 512 bytes: each 512 bytes then have a fate of their own.
  public var tearsBlocks: Bool

  /// A power cut.
  public init(seed: UInt64, tearsBlocks: Bool = false) { (self.seed, self.tearsBlocks) = (seed, tearsBlocks) }
}

/// A layer that decides when and whether a request goes on: a state machine without clock, threads or files.
///
/// The same requests at the same times meet the same fate. It is called by one thread at a time.
public protocol RequestLayer: IOLayer {
  /// Whether `completed` is to be called.
  var observesCompletion: Bool { get }
  /// The layer is in its place from now on.
  ///
  /// - Returns: whether the power fails now, and how.
  mutating func armed(at now: Instant) -> PowerCut?
  /// Decides about a request that has come to this layer; may add to its `mishap`.
  mutating func admit(_ request: inout IORequest, at now: Instant) -> Verdict
  /// A request that was in the stack has ended; not all of those have come to this layer.
  mutating func completed(_ request: IORequest, _ result: Result<IOReply, IOError>, at now: Instant)
}

extension RequestLayer {
  /// No.
  public var observesCompletion: Bool { false }
  /// It does not.
  public mutating func armed(at _: Instant) -> PowerCut? { nil }
  /// Nothing.
  public mutating func completed(_: IORequest, _: Result<IOReply, IOError>, at _: Instant) {}
}

/// A layer before the disk. Each operation is handed the device below, and passes on to it unless the layer
/// knows better; a layer that has to keep an order keeps it with a lock of its own.
///
/// The operations mean what they mean on `BlockDevice` and are called from several threads at once.
public protocol DiskLayer: IOLayer, AnyObject {
  func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int64, from below: any BlockDevice
  ) throws(IOError) -> Int
  func write(
    _ buffer: UnsafeRawBufferPointer, at offset: Int64, durably: Bool, to below: any BlockDevice
  ) throws(IOError) -> Int
  func flush(_ below: any BlockDevice) throws(IOError)
  func punchHole(at offset: Int64, length: Int64, in below: any BlockDevice) throws(IOError)
  func zero(at offset: Int64, length: Int64, in below: any BlockDevice) throws(IOError)
  func allocate(at offset: Int64, length: Int64, in below: any BlockDevice) throws(IOError)
  func nextData(from offset: Int64, in below: any BlockDevice) throws(IOError) -> Int64?
  func nextHole(from offset: Int64, in below: any BlockDevice) throws(IOError) -> Int64?

  /// Whether it has to see just what the LUN gets, and so stays behind all others.
  var staysNextToLUN: Bool { get }
  /// The power has failed: what is in volatile memory is lost.
  func powerFailed(_ cut: PowerCut, above below: any BlockDevice)
  /// The layer is to be removed and leaves nothing behind; nothing is under way meanwhile.
  ///
  /// - Throws: why it cannot go; it then stays, and works on as before.
  func detach(from below: any BlockDevice) throws(IOError)
}

extension DiskLayer {
  /// Passes on.
  public func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int64, from below: any BlockDevice
  ) throws(IOError) -> Int { try below.read(into: buffer, at: offset) }

  /// Passes on.
  public func write(
    _ buffer: UnsafeRawBufferPointer, at offset: Int64, durably: Bool, to below: any BlockDevice
  ) throws(IOError) -> Int { try below.write(buffer, at: offset, durably: durably) }

  /// Passes on.
  public func flush(_ below: any BlockDevice) throws(IOError) { try below.flush() }

  /// Passes on.
  public func punchHole(at offset: Int64, length: Int64, in below: any BlockDevice) throws(IOError) {
    try below.punchHole(at: offset, length: length)
  }

  /// Passes on.
  public func zero(at offset: Int64, length: Int64, in below: any BlockDevice) throws(IOError) {
    try below.zero(at: offset, length: length)
  }

  /// Passes on.
  public func allocate(at offset: Int64, length: Int64, in below: any BlockDevice) throws(IOError) {
    try below.allocate(at: offset, length: length)
  }

  /// Passes on.
  public func nextData(from offset: Int64, in below: any BlockDevice) throws(IOError) -> Int64? {
    try below.nextData(from: offset)
  }

  /// Passes on.
  public func nextHole(from offset: Int64, in below: any BlockDevice) throws(IOError) -> Int64? {
    try below.nextHole(from: offset)
  }

  /// No.
  public var staysNextToLUN: Bool { false }
  /// Does nothing.
  public func powerFailed(_ cut: PowerCut, above below: any BlockDevice) {}
  /// Does nothing.
  public func detach(from below: any BlockDevice) throws(IOError) {}
}

/// A disk layer on what is below it, as one device.
final class LayeredDevice: BlockDevice {
  let layer: any DiskLayer
  let below: any BlockDevice

  init(_ layer: any DiskLayer, on below: any BlockDevice) { (self.layer, self.below) = (layer, below) }

  var size: Int64 { below.size }
  var blockSize: Int64 { below.blockSize }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError) -> Int {
    try layer.read(into: buffer, at: offset, from: below)
  }
  func write(_ buffer: UnsafeRawBufferPointer, at offset: Int64, durably: Bool) throws(IOError) -> Int {
    try layer.write(buffer, at: offset, durably: durably, to: below)
  }
  func flush() throws(IOError) { try layer.flush(below) }
  func punchHole(at offset: Int64, length: Int64) throws(IOError) {
    try layer.punchHole(at: offset, length: length, in: below)
  }
  func zero(at offset: Int64, length: Int64) throws(IOError) {
    try layer.zero(at: offset, length: length, in: below)
  }
  func allocate(at offset: Int64, length: Int64) throws(IOError) {
    try layer.allocate(at: offset, length: length, in: below)
  }
  func nextData(from offset: Int64) throws(IOError) -> Int64? { try layer.nextData(from: offset, in: below) }
  func nextHole(from offset: Int64) throws(IOError) -> Int64? { try layer.nextHole(from: offset, in: below) }
}
