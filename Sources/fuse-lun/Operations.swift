import CFuse
import Glibc
import LUNStore

// The FUSE operations. Each is a C function without context, called by libfuse from several threads at once,
// and answers its request exactly once.
//
// Every LUN is a regular file of fixed size that behaves as a block device does wherever a file and a block
// device differ: writing at the end is ENOSPC, opening with O_TRUNC changes nothing, resizing is not
// permitted. Files are opened with FOPEN_DIRECT_IO: each read, write and flush of a client is one here, so
// that what a client was told is durable is durable, and an error is seen by the one who caused it.

/// How long the kernel may believe a name without asking again, in seconds. Attributes are always asked for,
/// since blocks come and go.
private let nameTimeout = 1.0

/// The operations table for a session that has a `MountedStore` as its user data.
func fuseOperations() -> fuse_lowlevel_ops {
  var table = fuse_lowlevel_ops()
  addSession(to: &table)
  addNames(to: &table)
  addAttributes(to: &table)
  addInputAndOutput(to: &table)
  addRefusals(to: &table)
  return table
}

private func mounted(_ request: fuse_req_t?) -> MountedStore {
  Unmanaged<MountedStore>.fromOpaque(fuse_req_userdata(request)).takeUnretainedValue()
}

/// Answers with what `body` returns or throws as the error number; `body` answers by itself if it returns
/// `nil`.
@inline(__always)
private func answer(_ request: fuse_req_t?, _ body: () throws(IOError) -> Int32?) {
  do throws(IOError) {
    if let code = try body() { fuse_reply_err(request, code) }
  } catch {
    fuse_reply_err(request, error.code)
  }
}

private func addSession(to table: inout fuse_lowlevel_ops) {
  table.`init` = { userData, connection in
    // Asynchronous requests that the kernel has under way at once (12 by default): the queue depth of a disk.
    connection?.pointee.max_background = 64
    connection?.pointee.congestion_threshold = 48
    guard let userData else { return }
    let mounted = Unmanaged<MountedStore>.fromOpaque(userData).takeUnretainedValue()
    // libfuse wants to hear it a second time.
    connection?.pointee.max_read = mounted.largestRead
    mounted.whenReady(mounted)
  }
  table.statfs = { request, _ in
    do throws(StoreError) {
      var status = try mounted(request).store.fileSystemStatus()
      status.f_namemax = 255
      fuse_reply_statfs(request, &status)
    } catch {
      fuse_reply_err(request, EIO)
    }
  }
}

private func addNames(to table: inout fuse_lowlevel_ops) {
  table.lookup = { request, parent, name in
    answer(request) { () throws(IOError) in
      guard parent == FUSE_ROOT_ID, let name else { return ENOTDIR }
      // A name that no LUN can have is the name of no LUN.
      guard let volume = VolumeName(bytes: name) else { return ENOENT }
      let store = mounted(request)
      let found = try store.lookUp(volume)
      var entry = fuse_entry_param()
      entry.ino = found.number
      entry.attr = found.attributes
      entry.entry_timeout = nameTimeout
      // The kernel will not forget what it was never told.
      if fuse_reply_entry(request, &entry) != 0 { store.forget(found.number, lookups: 1) }
      return nil
    }
  }
  table.forget = { request, number, lookups in
    mounted(request).forget(UInt64(number), lookups: lookups)
    fuse_reply_none(request)
  }
  table.opendir = { request, number, file in
    do throws(StoreError) {
      guard number == FUSE_ROOT_ID, let file else { return _ = fuse_reply_err(request, ENOTDIR) }
      // The names as of now, so that a listing neither repeats nor skips one when a LUN is created meanwhile.
      let listing = Listing(try mounted(request).list())
      let handle = Unmanaged.passRetained(listing)
      file.pointee.fh = UInt64(UInt(bitPattern: handle.toOpaque()))
      // The kernel will not release what it does not know to be open.
      if fuse_reply_open(request, file) != 0 { handle.release() }
    } catch {
      Log.error(error.description)
      fuse_reply_err(request, EIO)
    }
  }
  table.readdir = { request, _, size, offset, file in
    guard let listing = Listing.from(file)?.takeUnretainedValue() else {
      return _ = fuse_reply_err(request, EBADF)
    }
    withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { buffer in
      let used = listing.fill(buffer, from: offset, for: request)
      fuse_reply_buf(request, buffer.baseAddress, used)
    }
  }
  table.releasedir = { request, _, file in
    Listing.from(file)?.release()
    fuse_reply_err(request, 0)
  }
  table.fsyncdir = { request, _, _, _ in
    do throws(StoreError) {
      try mounted(request).store.synchronize()
      fuse_reply_err(request, 0)
    } catch {
      fuse_reply_err(request, EIO)
    }
  }
}

private func addAttributes(to table: inout fuse_lowlevel_ops) {
  table.getattr = { request, number, _ in
    answer(request) { () throws(IOError) in
      if number == FUSE_ROOT_ID {
        var attributes = mounted(request).folderAttributes()
        fuse_reply_attr(request, &attributes, 0)
        return nil
      }
      var attributes = try mounted(request).attributes(UInt64(number))
      fuse_reply_attr(request, &attributes, 0)
      return nil
    }
  }
  table.setattr = { request, number, wanted, changes, _ in
    answer(request) { () throws(IOError) in
      let store = mounted(request)
      guard let wanted, number != FUSE_ROOT_ID else { return EPERM }
      return try setAttributes(request, UInt64(number), of: store, wanted.pointee, Int(changes))
    }
  }
}

/// `chmod`, `chown`, `truncate` and `utimensat`. The kernel has already checked that the caller may
/// (`default_permissions`).
private func setAttributes(
  _ request: fuse_req_t?, _ number: UInt64, of store: MountedStore, _ wanted: stat, _ changes: Int
) throws(IOError) -> Int32? {
  func changed(_ flag: Int32) -> Bool { changes & Int(flag) != 0 }
  var attributes = try store.attributes(number)
  if changed(FUSE_SET_ATTR_SIZE), wanted.st_size != attributes.st_size { return EPERM }
  let mode = changed(FUSE_SET_ATTR_MODE) ? wanted.st_mode & 0o7777 : nil
  let user = changed(FUSE_SET_ATTR_UID) ? wanted.st_uid : nil
  let group = changed(FUSE_SET_ATTR_GID) ? wanted.st_gid : nil
  // Rights for others would be a promise that is not kept: without allow_other the kernel keeps them out.
  let grants = mode.map { $0 & 0o077 != 0 } ?? false || user.map { $0 != attributes.st_uid } ?? false
  if grants && !store.isShared { return EPERM }
  if mode != nil || user != nil || group != nil {
    store.changePermissions(number) { $0.set(mode: mode, user: user, group: group) }
  }

  let now = Int(1 << 30 - 1)
  let omit = Int(1 << 30 - 2)
  var access = timespec(tv_sec: 0, tv_nsec: omit)
  var modification = access
  if changed(FUSE_SET_ATTR_ATIME) { access = wanted.st_atim }
  if changed(FUSE_SET_ATTR_ATIME_NOW) { access.tv_nsec = now }
  if changed(FUSE_SET_ATTR_MTIME) { modification = wanted.st_mtim }
  if changed(FUSE_SET_ATTR_MTIME_NOW) { modification.tv_nsec = now }
  if access.tv_nsec != omit || modification.tv_nsec != omit {
    let node = try store.node(number)
    if node.lun.isReadOnly { throw IOError(EROFS) }
    try node.lun.setTimes(access: access, modification: modification)
  }

  attributes = try store.attributes(number)
  fuse_reply_attr(request, &attributes, 0)
  return nil
}

private func addInputAndOutput(to table: inout fuse_lowlevel_ops) {
  table.open = { request, number, file in
    answer(request) { () throws(IOError) in
      let store = mounted(request)
      guard let file else { return ENOENT }
      let node = try store.node(UInt64(number))
      // O_TRUNC is in the flags and means nothing, as on a block device: `dd of=LUN` does what it does there.
      let forWriting = file.pointee.flags & O_ACCMODE != O_RDONLY
      let backing = try node.open(forWriting: forWriting) { store.registerBacking(of: node) }
      let handle = Unmanaged.passRetained(node)
      // The kernel will not release what it does not know to be open.
      if cfuse_reply_open(request, UInt64(UInt(bitPattern: handle.toOpaque())), backing ?? 0) != 0 {
        handle.release()
        node.close(forWriting: forWriting, giveBack: store.giveBack)
      }
      return nil
    }
  }
  table.release = { request, _, file in
    answer(request) { () throws(IOError) in
      guard let file, let handle = UnsafeRawPointer(bitPattern: UInt(file.pointee.fh)) else { return EBADF }
      let node = Unmanaged<Node>.fromOpaque(handle).takeRetainedValue()
      let forWriting = file.pointee.flags & O_ACCMODE != O_RDONLY
      node.close(forWriting: forWriting, giveBack: mounted(request).giveBack)
      return 0
    }
  }
  // No flush: nothing is held back until a file is closed, and the kernel stops asking.
  table.read = { request, _, size, offset, file in
    answer(request) { () throws(IOError) in
      guard let node = openNode(file) else { return EBADF }
      guard node.stack.beginDirect() else {
        let read = IORequest.read(at: Int64(offset), length: Int64(size))
        submit(read, to: node, for: request, reply: replyWithData)
        return nil
      }
      defer { node.stack.endDirect() }
      let buffer = ReadBuffer.ofThisThread(atLeast: size)
      guard buffer.count >= size else { return ENOMEM }
      let count = try node.lun.read(
        into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<size]), at: Int64(offset))
      fuse_reply_buf(request, buffer.baseAddress, count)
      return nil
    }
  }
  table.write = { request, _, bytes, size, offset, file in
    answer(request) { () throws(IOError) in
      guard let node = openNode(file), let file else { return EBADF }
      let data = UnsafeRawBufferPointer(start: bytes, count: size)
      // O_SYNC includes O_DSYNC. The kernel leaves it to the file system to keep that promise.
      let isDurable = file.pointee.flags & O_DSYNC != 0
      guard node.stack.beginDirect() else {
        // A copy, since it may have to wait and libfuse's buffer does not.
        let write = IORequest.write(Array(data), at: Int64(offset), forceUnitAccess: isDurable)
        submit(write, to: node, for: request, reply: replyWithCount)
        return nil
      }
      defer { node.stack.endDirect() }
      let count = try node.lun.write(data, at: Int64(offset))
      if isDurable { try node.lun.flush() }
      fuse_reply_write(request, count)
      return nil
    }
  }
  table.fsync = { request, _, _, file in
    answer(request) { () throws(IOError) in
      guard let node = openNode(file) else { return EBADF }
      guard node.stack.beginDirect() else {
        submit(.flush, to: node, for: request, reply: replyDone)
        return nil
      }
      defer { node.stack.endDirect() }
      do throws(IOError) {
        try node.lun.flush()
      } catch {
        Log.error("LUN '\(node.name)': cannot flush: \(errorText(error.code))")
        throw error
      }
      return 0
    }
  }
  table.fallocate = { request, _, mode, offset, length, file in
    answer(request) { () throws(IOError) in
      guard let node = openNode(file) else { return EBADF }
      guard offset >= 0, length > 0 else { return EINVAL }
      // Without FALLOC_FL_KEEP_SIZE (1) a range that goes past the end asks for a larger file: the kernel takes it to
      // have become one if it is told that all is well.
      guard offset >= 0, length > 0 else { return EINVAL }
      if mode & 1 == 0, offset > off_t(node.lun.size) - length { return EINVAL }
      let kind: IORequest.Kind
      switch mode & ~1 {
      case 0: kind = .allocate
      case 2: kind = .discard
      case 16: kind = .zero
      default: return EOPNOTSUPP
      }
      let change = IORequest.change(kind, at: Int64(offset), length: Int64(length))
      guard node.stack.beginDirect() else {
        submit(change, to: node, for: request, reply: replyDone)
        return nil
      }
      defer { node.stack.endDirect() }
      _ = try change.carriedOut(on: node.lun)
      return 0
    }
  }
  table.lseek = { request, _, offset, whence, file in
    answer(request) { () throws(IOError) in
      guard let node = openNode(file) else { return EBADF }
      // What layers hold back is data too.
      let device = node.stack.device
      let found: Int64?
      switch whence {
      case 3: found = try device.nextData(from: Int64(offset))
      case 4: found = try device.nextHole(from: Int64(offset))
      default: return EINVAL
      }
      guard let found else { return ENXIO }
      fuse_reply_lseek(request, off_t(found))
      return nil
    }
  }
}

@inline(__always)
private func openNode(_ file: UnsafeMutablePointer<fuse_file_info>?) -> Node? {
  guard let file, let handle = UnsafeRawPointer(bitPattern: UInt(file.pointee.fh)) else { return nil }
  return Unmanaged<Node>.fromOpaque(handle).takeUnretainedValue()
}

/// What would change the list of LUNs is done by commands, and is not permitted here. Without these answers
/// the client would be told that the function is not implemented.
private func addRefusals(to table: inout fuse_lowlevel_ops) {
  table.create = { request, _, _, _, _ in fuse_reply_err(request, EPERM) }
  table.mknod = { request, _, _, _, _ in fuse_reply_err(request, EPERM) }
  table.mkdir = { request, _, _, _ in fuse_reply_err(request, EPERM) }
  table.symlink = { request, _, _, _ in fuse_reply_err(request, EPERM) }
  table.link = { request, _, _, _ in fuse_reply_err(request, EPERM) }
  table.unlink = { request, _, _ in fuse_reply_err(request, EPERM) }
  table.rmdir = { request, _, _ in fuse_reply_err(request, EPERM) }
  table.rename = { request, _, _, _, _, _ in fuse_reply_err(request, EPERM) }
}
