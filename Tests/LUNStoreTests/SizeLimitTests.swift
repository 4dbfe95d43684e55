import Glibc
import TestSupport
import Testing

@testable import LUNStore

/// What is reckoned from numbers that come from outside, at the ends of what these can be.
@Suite("Numbers from outside")
struct SizeLimitTests {
  private let folder = TemporaryFolder()

  @Test(
    "that say more of a layer than it can have are damage",
    arguments: [
      (LUN.maximumSize, nil, true), (LUN.maximumSize + 512, nil, false), (Int64.max, nil, false),
      (512, LUN.maximumSize, true), (512, LUN.maximumSize + 1, false), (512, Int64.max, false),
    ] as [(Int64, Int64?, Bool)])
  func layer(size: Int64, image: Int64?, isRight: Bool) throws {
    let base = image.map { BaseReference(.nbd(uri: "nbd://host"), size: $0) }
    let record = LayerRecord(size: size, base: base)
    let folder = try Descriptor.open(path: folder.path, O_RDONLY | O_DIRECTORY)
    try folder.install("layer", record.encoded)
    let file = try folder.open("layer", O_RDONLY)
    if isRight {
      #expect(try LayerRecord(reading: file) == record)
    } else {
      #expect(thrown(StoreError.self) { try LayerRecord(reading: file) }?.kind == .damaged)
    }
  }

  @Test(
    "that say where to read on in a log have to be in it",
    arguments: [
      (0, 4096, true), (0, 0, false), (0, -64, false), (.max, 4096, false), (3, .max, false), (1, 4160, true),
    ] as [(UInt64, Int64, Bool)])
  func position(number: UInt64, offset: Int64, isRight: Bool) throws {
    let header = WriteLog.Header(
      lun: try LUNName("a"), size: ByteCount(LUN.maximumSize), blockSize: .bytes512, base: "log-1", created: 0
    )
    try WriteLog.Writer.create(folder("log"), header).end("")
    let position = WriteLog.Position(number: number, offset: offset)
    let error = thrown(StoreError.self) {
      var reader = try WriteLog.Reader(folder("log"), from: position)
      while try reader.next() != nil {}
    }
    #expect(isRight ? error == nil : error?.kind == .invalidInput, "\(String(describing: error))")
  }

  @Test("that a log gives for a LUN larger than there can be are damage")
  func log() throws {
    let header = WriteLog.Header(
      lun: try LUNName("a"), size: ByteCount(.max - 511), blockSize: .bytes512, base: "", created: 0)
    _ = try WriteLog.Writer.create(folder("log"), header)
    #expect(thrown(StoreError.self) { try WriteLog.Reader(folder("log")) }?.kind == .damaged)
  }

  @Test("of bytes and nanoseconds are added up to the greatest number, and not past it")
  func statistics() throws {
    var statistics = OperationStatistics()
    for _ in 0..<3 {
      let request = IORequest.change(.discard, at: 0, length: .max)
      statistics.add(request, .success(IOReply()), took: .nanoseconds(Int64.max))
    }
    #expect(statistics.bytes == .max && statistics.total == .max && statistics.requests == 3)
    #expect(IORequest.change(.discard, at: .max, length: .max).range == Int64.max..<Int64.max)
    #expect(IORequest.change(.discard, at: 512, length: .max).range == 512..<Int64.max)
    #expect(Instant(nanoseconds: .max) - Instant(nanoseconds: .min) == .zero)
  }

  @Test("of a write that is not as long as its data are refused by a log")
  func write() throws {
    let header = WriteLog.Header(
      lun: try LUNName("a"), size: ByteCount(4096), blockSize: .bytes512, base: "", created: 0)
    let writer = try WriteLog.Writer.create(folder("log"), header)
    #expect(thrown(IOError.self) { try writer.append(.write(0..<512)) } == IOError(EINVAL))
    #expect(writer.last == 0)
  }
}
