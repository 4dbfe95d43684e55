import ArgumentParser
import Glibc
import LUNStore
import Version

/// A store of virtual LUNs, served as files through FUSE.
@main
struct FuseLun: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fuse-lun",
    abstract: "Keeps virtual LUNs in a store and shows them as files that real software can use.",
    discussion: """
      A store is a folder. 'fuse-lun create' makes it with its first LUN; 'fuse-lun mount' shows each of its \
      LUNs as a file of fixed size, which an iSCSI target, QEMU or a loop device can serve as a disk.

      Exit status: 0 done; 1 the system refused (no space, no permission to mount); 2 the command line or \
      the store is wrong, and nothing was changed.

      A process that has the store and says nothing for 30 seconds is not waited for any longer; the environment \
      variable FUSE_LUN_TIMEOUT is another number of seconds, 0 is to wait for ever. What only takes long says that \
      it is alive, and is waited for.
      """,
    version: version,
    subcommands: [
      CreateCommand.self, MountCommand.self, UmountCommand.self, ListCommand.self, InfoCommand.self,
      SnapshotCommand.self,
      RollbackCommand.self, CloneCommand.self, RenameCommand.self, DeleteCommand.self, ResizeCommand.self,
      SetCommand.self,
      CheckCommand.self, FaultCommand.self, LayerCommand.self, LogCommand.self, FetchCommand.self,
      ExportCommand.self, TargetCommand.self,
    ])

  static func main() {
    if MountHelper.isCalled { MountHelper.main() }
    do {
      var command = try parseAsRoot(Self.rearranged(Array(CommandLine.arguments.dropFirst())))
      try command.run()
    } catch let status as ExitCode {
      Glibc.exit(status.rawValue)
    } catch let error as StoreError {
      complain(error)
      Glibc.exit(error.exitStatus)
    } catch let problems as StoreProblems {
      problems.all.forEach(complain)
      Glibc.exit(problems.all.map(\.exitStatus).max() ?? 1)
    } catch {
      // The argument parser's own: help and wrong usage.
      let wrong = exitCode(for: error) != .success
      try? emit(fullMessage(for: error) + "\n", to: wrong ? 2 : 1)
      Glibc.exit(wrong ? 2 : 0)
    }
  }

  /// Arguments in the order in which the argument parser wants them.
  static func rearranged(_ arguments: [String]) -> [String] {
    ResizeCommand.rearranged(LogCommand.rearranged(arguments))
  }
}

extension StoreError {
  /// 2 for what the one who typed the command can put right by typing another, 1 for what the system refuses.
  var exitStatus: Int32 {
    switch kind {
    case .system(let code):
      [ENOSPC, EDQUOT, EIO, ENOMEM, EMFILE, ENFILE, EBUSY, ETIMEDOUT].contains(code) ? 1 : 2
    default: 2
    }
  }
}
