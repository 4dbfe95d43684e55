import ArgumentParser
import Glibc
import Sim
import Version

/// The command line. One file a subcommand; exit statuses and streams are seen to here.
@main
struct BootsimCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bootsim",
    abstract: "Says whether a machine comes up and goes down over iSCSI, and what would break it.",
    discussion: """
      Results go to standard output, progress and complaints to standard error.
      Exit status: 0 comes up in every order and goes down clean; 1 fails or may fail, for test: an expectation did \
      not hold; 2 the input or the command line is wrong, and nothing was simulated.
      """,
    version: version,
    subcommands: [
      RunCommand.self, TestCommand.self, SweepCommand.self, ExplainCommand.self, InitCommand.self,
      SchemaCommand.self, VerifyCommand.self,
    ])

  static func main() {
    // A reader that goes away, as `head` does, must not kill the program: its exit status is the verdict.
    signal(SIGPIPE, SIG_IGN)
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      leave(error)
    }
    Glibc.exit(Status.good.rawValue)
  }

  private static func leave(_ error: any Error) -> Never {
    if let status = error as? Status { Glibc.exit(status.rawValue) }
    let code = exitCode(for: error)
    let message = fullMessage(for: error)
    if code.isSuccess {
      Output.write(message.hasSuffix("\n") ? message : message + "\n")
      Glibc.exit(Status.good.rawValue)
    }
    Output.complain(message)
    Glibc.exit(Status.badInput.rawValue)
  }
}

/// How the program ends; thrown by a subcommand that has said all there is to say.
enum Status: Int32, Error {
  /// Comes up in every order and goes down clean.
  case good = 0
  /// Fails or may fail; for `test`: an expectation did not hold.
  case failing = 1
  /// The input or the command line is wrong; nothing was simulated.
  case badInput = 2
}
