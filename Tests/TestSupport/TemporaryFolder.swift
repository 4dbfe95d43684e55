import Glibc

/// A folder of its own for a test, gone with everything in it when the last reference goes.
public final class TemporaryFolder: Sendable {
  /// Where it is.
  public let path: String

  /// Under `/tmp`, and for everybody to enter, since some tests have an ordinary user work in it.
  ///
  /// - Parameter inMemory: in `/dev/shm` instead, where there is one: for tests that flush a thousand times.
  public init(inMemory: Bool = false) {
    let parent = inMemory && access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp"
    var template = Array("\(parent)/fuse-lun-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("mkdtemp: \(errno)") }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    chmod(path, 0o755)
  }

  deinit { _ = run("rm", "-rf", "--one-file-system", path) }

  /// The path of something in it.
  public func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  /// Makes a folder in it.
  public func folder(_ name: String) -> String {
    mkdir(self(name), 0o755)
    return self(name)
  }
}

/// Reads a whole file; `nil` if there is none.
public func contents(of path: String) -> [UInt8]? {
  let file = open(path, O_RDONLY | O_CLOEXEC)
  guard file >= 0 else { return nil }
  defer { close(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while case let count = read(file, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
  return bytes
}

/// A file of the topmost layer of a LUN: `data.0`, `map.0`, `layer`.
public func layerFile(_ name: String, ofLUN lun: String, inStore store: String) -> String {
  let record = String(decoding: contents(of: "\(store)/luns/\(lun)/lun") ?? [], as: UTF8.self)
  let line = record.split(separator: "\n").first { $0.hasPrefix("layer ") }
  return "\(store)/layers/\(line?.dropFirst(6) ?? "none")/\(name)"
}

/// Replaces a whole file.
public func write(_ bytes: some Collection<UInt8>, to path: String) {
  let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
  precondition(file >= 0, "\(path): errno \(errno)")
  defer { close(file) }
  var rest = Array(bytes)[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
    precondition(count > 0, "\(path): errno \(errno)")
    rest = rest.dropFirst(count)
  }
}

/// Overwrites a part of a file in place.
public func patch(_ path: String, at offset: Int, _ bytes: [UInt8]) {
  let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
  precondition(file >= 0 && pwrite(file, bytes, bytes.count, off_t(offset)) == bytes.count, path)
  close(file)
}

/// Makes a sparse file.
public func makeSparse(_ path: String, _ size: Int) {
  let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
  precondition(file >= 0 && ftruncate(file, off_t(size)) == 0, path)
  close(file)
}
