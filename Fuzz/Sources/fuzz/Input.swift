import CLinux
import Glibc

@testable import LUNStore

/// The bytes that libFuzzer has made up, taken from the front.
struct Input {
  private(set) var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isEmpty: Bool { rest.isEmpty }

  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  mutating func take(_ count: Int) -> [UInt8] {
    let taken = Array(rest.prefix(count))
    rest = rest.dropFirst(count)
    return taken
  }

  mutating func number() -> UInt64 {
    take(8).enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) }
  }

  var text: String { String(decoding: rest, as: UTF8.self) }
}

/// A folder for what needs files, in memory and gone with the process, as far as that ends by itself.
let scratch: Descriptor = {
  var template = Array("/dev/shm/fuse-lun-fuzz-XXXXXX".utf8CString)
  guard mkdtemp(&template) != nil else { fatalError("no folder: \(errorText(errno))") }
  let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  scratchPath.store(path)
  atexit { scratchPath.remove() }
  do throws(StoreError) { return try Descriptor.open(path: path, O_RDONLY | O_DIRECTORY) } catch {
    fatalError("\(error)")
  }
}()

/// The same folder, as a layer has it.
let scratchLayer: LayerFolder = {
  do throws(StoreError) {
    let parent = try Descriptor.open(path: "\(scratch.path)/..", O_RDONLY | O_DIRECTORY)
    return LayerFolder(in: parent, String(scratch.path.split(separator: "/").last ?? ""))
  } catch { fatalError("\(error)") }
}()
private let scratchPath = ScratchPath()

private final class ScratchPath: @unchecked Sendable {
  private var path = ""
  func store(_ path: String) { self.path = path }
  func remove() {
    _ = Glibc.system("rm -rf '\(path)'")
  }
}

/// A file of this name with these bytes in the folder.
func scratchFile(_ name: String, _ bytes: [UInt8]) -> Descriptor {
  unlinkat(scratch.raw, name, 0)
  do throws(StoreError) {
    let file = try scratch.create(name, O_RDWR)
    try file.writeAll(bytes)
    return file
  } catch { fatalError("\(error)") }
}

/// What is wrong with an input is nothing to stop for.
func tolerating(_ body: () throws -> Void) {
  do { try body() } catch {}
}
