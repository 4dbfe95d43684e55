import Glibc

/// The few things that the laboratory does with files of this machine.
enum Files {
  /// Reads a text file whole.
  static func text(_ path: String) throws(LabError) -> String {
    guard let file = fopen(path, "rb") else { throw LabError("\(path): \(String(cString: strerror(errno)))") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = fread(&buffer, 1, buffer.count, file)
      if count == 0 { break }
      bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Writes a text file with the folders it is in.
  static func write(_ text: String, to path: String, isExecutable: Bool = false) throws(LabError) {
    if let slash = path.lastIndex(of: "/") { try makeFolder(String(path[..<slash])) }
    guard let file = fopen(path, "wb") else { throw LabError("\(path): \(String(cString: strerror(errno)))") }
    let bytes = Array(text.utf8)
    let count = fwrite(bytes, 1, bytes.count, file)
    guard fclose(file) == 0, count == bytes.count, chmod(path, isExecutable ? 0o755 : 0o644) == 0 else {
      throw LabError("\(path): \(String(cString: strerror(errno)))")
    }
  }

  /// The names in a folder.
  static func names(in folder: String) throws(LabError) -> [String] {
    guard let stream = opendir(folder) else {
      throw LabError("\(folder): \(String(cString: strerror(errno)))")
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  /// Makes a folder and those it is in.
  static func makeFolder(_ path: String) throws(LabError) {
    var place = path.hasPrefix("/") ? "" : "."
    for part in path.split(separator: "/") {
      place += "/\(part)"
      guard mkdir(place, 0o755) == 0 || errno == EEXIST else {
        throw LabError("\(place): \(String(cString: strerror(errno)))")
      }
    }
  }
}
