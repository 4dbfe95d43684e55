import CLinux
import Glibc

/// With whose rights an image is opened that a record of a store names.
///
/// Whoever may write to a store can have its records name any file or server. Where root works on a store of somebody
/// else, that one must not get to see, as the contents of a LUN, what only root may read.
enum ImageRights: Sendable {
  /// Those of this process, whose user wrote the record, or trusts the one who did.
  case own
  /// Those of the store's owner; nobody else's, through every folder and link of a path.
  case owner(uid_t, store: String)

  /// Opens a file or a block device to read it. Does not wait for the writer of a FIFO.
  ///
  /// - Throws: `untrusted`, or the failing system call.
  func open(_ path: String) throws(StoreError) -> Descriptor {
    let flags = O_RDONLY | O_NONBLOCK
    guard case .owner(let user, let store) = self else { return try Descriptor.open(path: path, flags) }
    let groups = Groups(of: user)
    let raw = linux_open_as(path, flags | O_CLOEXEC, user, groups.first, groups.all, groups.all.count)
    if raw >= 0 { return Descriptor(raw: raw, path: path) }
    switch (raw, errno) {
    case (-2, let code):
      throw untrusted(
        path, user, store, "and it cannot be opened with that user's rights: \(errorText(code))",
        "have that user do this")
    case (_, EACCES), (_, EPERM):
      throw untrusted(path, user, store, "who may not read it", "give that user the right to read it")
    case (_, ELOOP):
      throw untrusted(
        path, user, store, "and it is found by a link of /proc, or there is no end of links", nil)
    case (_, let code): throw .system("open", path, code: code)
    }
  }

  /// Refuses what has no rights that could be taken on: a server may trust this machine, or root, more than the
  /// store's owner.
  ///
  /// - Throws: `untrusted`.
  func requireOwn(_ uri: String) throws(StoreError) {
    guard case .owner(let user, let store) = self else { return }
    throw untrusted(
      uri, user, store, "and whether that user could connect to it cannot be known", "have that user do this")
  }

  private func untrusted(
    _ image: String, _ user: uid_t, _ store: String, _ problem: String, _ remedy: String?
  ) -> StoreError {
    StoreError(
      .untrusted, at: image, "is named as an image by the store '\(store)' of \(userName(user)), \(problem)",
      remedy: (remedy.map { "\($0), or, " } ?? "")
        + "if you know what is in that store, mount it with '-o trust-images', or give --trust-images")
  }
}

/// The groups of a user, as the system has them by name.
private struct Groups {
  let first: gid_t
  let all: [gid_t]

  init(of user: uid_t) {
    // Nobody's group, where the user is a mere number: that of a folder may be one that its owner is not in.
    guard let (name, group) = account(user) else {
      (first, all) = (65534, [])
      return
    }
    var groups: [gid_t] = [group]
    var count: Int32 = 64
    repeat {
      groups = [gid_t](repeating: group, count: Int(count))
    } while getgrouplist(name, group, &groups, &count) < 0
    // More than the kernel takes are none of those that count most: the first.
    (first, all) = (group, Array(groups.prefix(Int(count))))
  }
}

/// A user's name and group; `nil` for a mere number.
private func account(_ user: uid_t) -> (name: String, group: gid_t)? {
  var entry = passwd()
  var found: UnsafeMutablePointer<passwd>?
  var buffer = [CChar](repeating: 0, count: 1024)
  while getpwuid_r(user, &entry, &buffer, buffer.count, &found) == ERANGE {
    buffer = [CChar](repeating: 0, count: 2 * buffer.count)
  }
  return found.map { (String(cString: $0.pointee.pw_name), $0.pointee.pw_gid) }
}

/// A user as a message names one.
public func userName(_ user: uid_t) -> String {
  account(user).map { "user \(printable($0.name))" } ?? "user \(user)"
}
