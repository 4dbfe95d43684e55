import CFuse
import Glibc

@testable import FuseLunCode
@testable import LUNStore

/// A store with LUNs, as a mount has it, and the session of a kernel that is not there.
final class ServedStore: @unchecked Sendable {
  let open: OpenStore
  let mounted: MountedStore
  let server: StoreServer
  /// What the kernel would read from, and write to.
  fileprivate let ends: (daemon: Int32, kernel: Int32)
  fileprivate let session: OpaquePointer

  init() throws {
    let path = "\(scratch.path)/store"
    let made = try Store.openOrCreate(path).store
    try made.createLUN(LUNRequest(name: "a", size: "1M"))
    try made.createLUN(LUNRequest(name: "b", size: "20M"))
    open = try OpenStore(path, at: "/nowhere")
    try open.snapshot(SnapshotName(lun: LUNName("b"), label: LUNName("s")))
    mounted = MountedStore(open, at: "/nowhere", MountOptions(), whenReady: { _ in })
    server = StoreServer(open, mounted: mounted)
    var pair: [Int32] = [0, 0]
    guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_NONBLOCK.rawValue), 0, &pair) == 0 else {
      throw StoreError(.system(errno), at: "socket", errorText(errno))
    }
    ends = (pair[0], pair[1])
    var room: Int32 = 8 << 20
    for end in pair { setsockopt(end, SOL_SOCKET, SO_SNDBUF, &room, 4) }
    var arguments = [strdup("fuzz"), nil]
    var operations = fuseOperations()
    let userData = Unmanaged.passUnretained(mounted).toOpaque()
    let made2 = arguments.withUnsafeMutableBufferPointer { buffer in
      var parsed = cfuse_args(1, buffer.baseAddress)
      return cfuse_session_new(&parsed, &operations, userData)
    }
    guard let made2 else { throw StoreError(.system(EIO), at: "fuzz", "no session") }
    session = made2
    var hooks = fuse_custom_io()
    hooks.read = { device, buffer, size, _ in Glibc.read(device, buffer, size) }
    hooks.writev = { device, parts, count, _ in writev(device, parts, count) }
    fuse_session_custom_io(session, &hooks, ends.daemon)
    var begin = [UInt8](repeating: 0, count: 64)
    begin.withUnsafeMutableBytes { $0.storeBytes(of: UInt32(7), as: UInt32.self) }
    begin.withUnsafeMutableBytes { $0.storeBytes(of: UInt32(38), toByteOffset: 4, as: UInt32.self) }
    _ = ask(FUSE_INIT.rawValue, 0, begin)
  }

  /// Has libfuse take a request, and returns its answer without the header.
  fileprivate func ask(_ operation: UInt32, _ node: UInt64, _ body: [UInt8], hot: Bool = false) -> [UInt8] {
    let headerLength = MemoryLayout<fuse_in_header>.size
    var request = [UInt8](repeating: 0, count: headerLength) + body
    request.withUnsafeMutableBytes { bytes in
      var header = fuse_in_header()
      header.len = UInt32(bytes.count)
      header.opcode = operation
      header.unique = 2
      header.nodeid = node
      bytes.storeBytes(of: header, as: fuse_in_header.self)
    }
    if hot {
      // As a thread of the mount receives it: answered, or handed on. There is no second request.
      _ = request.withUnsafeBytes { send(ends.kernel, $0.baseAddress, $0.count, 0) }
      var received = [UInt8](repeating: 0, count: request.count)
      let count = received.withUnsafeMutableBytes {
        mounted.hotPath.receive(from: ends.daemon, $0.baseAddress!, $0.count)
      }
      guard count > 0 else { return answered() }
    }
    // libfuse trusts the kernel that structures and names are there as a whole.
    let length = request.count
    request += [UInt8](repeating: 0, count: 4096)
    request.withUnsafeMutableBytes { bytes in
      var buffer = fuse_buf()
      buffer.size = length
      buffer.mem = bytes.baseAddress
      fuse_session_process_buf(session, &buffer)
    }
    return answered()
  }

  private func answered() -> [UInt8] {
    var answer = [UInt8](repeating: 0, count: 2 << 20)
    let count = recv(ends.kernel, &answer, answer.count, 0)
    let headerLength = MemoryLayout<fuse_out_header>.size
    guard count >= headerLength else { return [] }
    precondition(Int(answer.integer(at: 0, UInt32.self)) == count, "an answer is not as long as it says")
    let error = Int32(truncatingIfNeeded: answer.integer(at: 4, UInt32.self))
    precondition(error <= 0 && error > -512, "an answer has the error \(error)")
    return error == 0 ? Array(answer[headerLength..<count]) : []
  }
}

let store: ServedStore = {
  do { return try ServedStore() } catch { fatalError("\(error)") }
}()

/// Requests of the kernel, one after the other: an operation, which file, and the body. Handles are those that were given
/// out: no kernel has others.
@Sendable func fuzzRequests(_ input: Input) {
  var input = input
  var nodes: [UInt64] = [1, 2, 3, 4]
  var files: [(handle: UInt64, flags: UInt32)] = []
  var folders: [UInt64] = []
  var steps = 0
  func patched(_ body: [UInt8], _ handle: UInt64) -> [UInt8] {
    var body = body + [UInt8](repeating: 0, count: max(0, 40 - body.count))
    body.withUnsafeMutableBytes { $0.storeBytes(of: handle, as: UInt64.self) }
    return body
  }
  while !input.isEmpty, steps < 64 {
    steps += 1
    let (operation, which) = (input.byte() % 24, input.byte())
    let node = nodes[Int(which) % nodes.count]
    let body = input.take(Int(input.byte()))
    switch operation {
    case 0, 1:
      let entry = store.ask(FUSE_LOOKUP.rawValue, operation == 0 ? 1 : node, body + [0])
      if entry.count >= 8 { nodes.append(entry.integer(at: 0, UInt64.self)) }
    case 2: _ = store.ask(FUSE_GETATTR.rawValue, node, body)
    case 3: _ = store.ask(FUSE_SETATTR.rawValue, node, body + [UInt8](repeating: 0, count: 88))
    case 4, 5:
      let answer = store.ask(FUSE_OPEN.rawValue, node, patched(body, UInt64(which & 3)))
      guard answer.count >= 16 else { continue }
      files.append((answer.integer(at: 0, UInt64.self), UInt32(which & 3)))
    case 6:
      let answer = store.ask(FUSE_OPENDIR.rawValue, 1, patched(body, 0))
      if answer.count >= 16 { folders.append(answer.integer(at: 0, UInt64.self)) }
    case 7:
      guard let folder = folders.last else { continue }
      // The kernel asks for as much as it has room for.
      var request = patched(body, folder)
      request.replaceSubrange(18..<20, with: [0, 0])
      _ = store.ask(FUSE_READDIR.rawValue, 1, request)
    case 8:
      guard let folder = folders.popLast() else { continue }
      _ = store.ask(FUSE_RELEASEDIR.rawValue, 1, patched([], folder))
    case 9...11:
      guard let file = files.last else { continue }
      var request = patched(body, file.handle)
      request.replaceSubrange(18..<20, with: [UInt8(request[18] & 0x0F), 0])
      _ = store.ask(FUSE_READ.rawValue, node, request, hot: operation > 9)
    case 12...14:
      guard let file = files.last else { continue }
      var request = patched(body, file.handle)
      let length = Int(request[16]) << 5
      request.replaceSubrange(16..<20, with: withUnsafeBytes(of: UInt32(length)) { Array($0) })
      request.removeSubrange(40...)
      _ = store.ask(
        FUSE_WRITE.rawValue, node, request + [UInt8](repeating: which, count: length), hot: operation > 12)
    case 15:
      guard let file = files.last else { continue }
      _ = store.ask(FUSE_FSYNC.rawValue, node, patched(body, file.handle))
    case 16:
      guard let file = files.last else { continue }
      _ = store.ask(FUSE_FALLOCATE.rawValue, node, patched(body, file.handle))
    case 17:
      guard let file = files.last else { continue }
      _ = store.ask(FUSE_LSEEK.rawValue, node, patched(body, file.handle))
    case 18:
      guard let file = files.popLast() else { continue }
      release(file)
    case 19: _ = store.ask(FUSE_STATFS.rawValue, 1, [])
    case 20: _ = store.ask(FUSE_FSYNCDIR.rawValue, 1, patched(body, 0))
    case 21: _ = store.ask(FUSE_UNLINK.rawValue, 1, body + [0])
    case 22: _ = store.ask(FUSE_CREATE.rawValue, 1, patched(body, 0) + [0])
    default: _ = store.ask(UInt32(which), node, [UInt8](repeating: 0, count: 128))
    }
  }
  files.forEach(release)
  for folder in folders { _ = store.ask(FUSE_RELEASEDIR.rawValue, 1, patched([], folder)) }
}

private func release(_ file: (handle: UInt64, flags: UInt32)) {
  var body = [UInt8](repeating: 0, count: 24)
  body.withUnsafeMutableBytes { bytes in
    bytes.storeBytes(of: file.handle, as: UInt64.self)
    bytes.storeBytes(of: file.flags, toByteOffset: 8, as: UInt32.self)
  }
  _ = store.ask(FUSE_RELEASE.rawValue, 2, body)
}
