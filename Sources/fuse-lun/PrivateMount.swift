import Glibc
import LUNStore

/// Runs `body` with a folder where the store is mounted: where it is already, or at a place of its own that is
/// for this user alone and gone afterwards.
///
/// For programs that read files, such as `qemu-img` or `e2fsck`.
///
/// - Parameters:
///   - trustsImages: as `StoreClient` has it; for a mount of its own.
///   - program: what to mount with: this program.
func withMountedStore<Result>(
  _ store: String, trustsImages: Bool = false, program: String = "/proc/self/exe",
  _ body: (_ mountpoint: String) throws -> Result
) throws -> Result {
  if let mountpoint = try mountedAt(store) {
    try Mountpoint.requireTrusted(mountpoint)
    return try body(mountpoint)
  }
  let mount = try PrivateMount(of: store, by: program, trustsImages: trustsImages)
  do {
    let result = try body(mount.point)
    try mount.end()
    return result
  } catch {
    try? mount.end()
    throw error
  }
}

/// Where the store is mounted by a mount that answers, if it is.
private func mountedAt(_ store: String) throws -> String? {
  guard let holder = try Store.open(store).holder(), try isServed(store, at: holder.mountpoint) else {
    return nil
  }
  return holder.mountpoint
}

/// Whether clients can open the files there.
private func isServed(_ store: String, at point: String) throws -> Bool {
  // Where it is mounted nobody else answers: a mount begins when the one before it has ended. One of a store that is
  // read-only has no socket to answer at.
  guard Mountpoint.isMounted(store, at: point) else { return false }
  return try StoreClient(store: store).ask(PingRequest()) != nil || Store.open(store).isInReadOnlyFileSystem
}

/// Is answered as soon as clients can open the files.
struct PingRequest: StoreRequest {
  static let name = "ping"

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Done { Done() }
}

/// A mount at a temporary folder, by a process of its own that ends with it and removes the folder.
private struct PrivateMount {
  let point: String
  private let process: pid_t

  init(of store: String, by program: String, trustsImages: Bool) throws {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/fuse-lun-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw StoreError(.system(errno), at: parent, "cannot make a folder to mount at: \(errorText(errno))")
    }
    let folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    // As the kernel will call it.
    point = resolvedPath(folder) ?? folder
    let options =
      (try Store.open(store).isInReadOnlyFileSystem ? ["-o", "ro"] : [])
      + (trustsImages ? ["-o", "trust-images"] : [])
    let words =
      ["fuse-lun", "mount", "--foreground", "--ends-with", "\(getpid())"] + options + ["--", store, point]
    var arguments = words.map { strdup($0) } + [nil]
    defer { arguments.forEach { free($0) } }
    var process = pid_t()
    let failure = posix_spawn(&process, program, nil, nil, &arguments, environ)
    guard failure == 0 else {
      rmdir(point)
      throw StoreError(.system(failure), at: "fuse-lun mount", "cannot be started: \(errorText(failure))")
    }
    self.process = process
    // Until it listens, and if it has failed, there is nobody to answer.
    while try !isServed(store, at: point) {
      var status: Int32 = 0
      guard waitpid(process, &status, WNOHANG) == 0 else {
        throw StoreError(.system(EIO), at: store, "cannot be mounted; the line above says why")
      }
      usleep(5_000)
    }
  }

  /// - Throws: if not everything could be flushed.
  func end() throws(StoreError) {
    kill(process, SIGTERM)
    if statusAtEnd(of: process) != 0 {
      throw StoreError(.system(EIO), at: point, "the mount failed; the line above says why")
    }
  }
}
