import CLinux
import Glibc
import Synchronization

// What can be done without waiting, for whoever has no time to wait: reads of what the host has in memory, and
// writes that bring nothing with them. Anything else, errors too, is left to `read` and `write`, which repeat it.

extension LUN {
  /// As `read`, of all that was asked for.
  ///
  /// - Returns: `nil` if it would have to wait, for the medium or for a change of the LUN, or if it failed.
  public func readAtOnce(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) -> Int? {
    gate.sharedAtOnce {
      guard let length = wholeInside(offset, buffer.count), let bytes = buffer.baseAddress else { return nil }
      if chain.isFlat { return chain.head.data.readAtOnce(bytes, length, at: offset) ? length : nil }
      var position = offset
      let end = offset + Int64(length)
      while position < end {
        let run = chain.run(
          from: Int(position >> PresenceMap.blockShift), to: PresenceMap.blocks(in: end))
        let runEnd = min(end, Int64(run.end) << PresenceMap.blockShift)
        let (part, count) = (bytes + Int(position - offset), Int(runEnd - position))
        switch run.owner {
        case OwnerMap.zeros: memset(part, 0, count)
        case OwnerMap.base: return nil
        default:
          let layer = chain.layers[Int(run.owner)]
          let size = layer === chain.head ? chain.headRecord.size : layer.record.size
          guard runEnd <= size, layer.data.readAtOnce(part, count, at: position) else { return nil }
        }
        position = runEnd
      }
      return length
    }
  }

  /// As `write`, of all there is. The host makes a writer wait only when it has more to write than it can.
  ///
  /// - Returns: `nil` if blocks would have to be brought from elsewhere, if the LUN is being changed, or if it
  ///   failed; nothing or a part of it has been written then.
  public func writeAtOnce(_ buffer: UnsafeRawBufferPointer, at offset: Int64) -> Int? {
    gate.sharedAtOnce {
      guard (try? requireWritable()) != nil, let length = wholeInside(offset, buffer.count) else {
        return nil
      }
      let isWhole = (offset | Int64(length)) & (PresenceMap.blockSize - 1) == 0
      guard chain.isFlat || isWhole, let count = try? write(buffer.baseAddress, length, at: offset) else {
        return nil
      }
      return count == length ? length : nil
    }
  }

  /// `count`, if that many bytes from `offset` on are inside the LUN, and are some.
  private func wholeInside(_ offset: Int64, _ count: Int) -> Int? {
    guard (try? requirePresent()) != nil, offset >= 0, count > 0 else { return nil }
    return Int64(count) <= chain.headRecord.size - offset ? count : nil
  }
}

/// Whether the host's file system can tell that a read would have to wait. One that cannot (tmpfs) is in memory, or is
/// one that is waited for.
private let hostTells = Atomic(true)

extension LayerFile {
  /// Whether all of it could be read without waiting.
  fileprivate func readAtOnce(_ bytes: UnsafeMutableRawPointer, _ length: Int, at offset: Int64) -> Bool {
    guard let raw = try? pin() else { return false }
    defer { unpin() }
    if hostTells.load(ordering: .relaxed) {
      let count = linux_pread_cached(raw, bytes, UInt64(length), offset)
      if count >= 0 { return count == length }
      guard errno == EOPNOTSUPP else { return false }
      hostTells.store(false, ordering: .relaxed)
    }
    return pread(raw, bytes, length, off_t(offset)) == length
  }
}
