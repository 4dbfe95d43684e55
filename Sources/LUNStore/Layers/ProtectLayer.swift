import Glibc

/// Refuses changes, of all blocks or of some, as a disk with its write-protect switch on.
struct ProtectLayer: RequestLayer {
  let kind = "protect"
  private let range: Range<Int64>?
  private let blockSize: Int64
  private var refused: Int64 = 0

  init(_ options: inout LayerOptions, blockSize: Int64) {
    self.blockSize = blockSize
    range = options.blocks("lba", of: blockSize)
  }

  var settings: [LayerSetting] {
    range.map {
      [LayerSetting("lba", "\($0.lowerBound / blockSize)-\($0.upperBound / blockSize - 1)")]
    } ?? []
  }

  var counters: [LayerCounter] { [LayerCounter("refused", refused)] }

  func warnings(on device: any BlockDevice) -> [String] {
    guard let range, range.lowerBound >= device.size else { return [] }
    return ["it does nothing: the range is past the end of the LUN"]
  }

  mutating func admit(_ request: inout IORequest, at now: Instant) -> Verdict {
    let isChange = request.isChange || request.kind == .allocate
    guard isChange, range?.overlaps(request.range) ?? true else { return .pass }
    refused += 1
    return .fail(EROFS)
  }
}
