import Glibc
import Synchronization

/// A program that serves others, until the last reference to it goes.
public final class Server: Sendable {
  /// The program.
  public let running: Running
  private let hasStopped = Mutex(false)

  /// Starts it and waits until it is of use.
  ///
  /// - Returns: `nil` if it ended first, or is of no use after ten seconds.
  public init?(_ words: [String], isReady: () -> Bool) {
    guard let started = start(words) else { return nil }
    running = started
    var hasEnded = false
    let isUp = eventually {
      var status: siginfo_t = siginfo_t()
      hasEnded =
        waitid(P_PID, id_t(started.process), &status, WEXITED | WNOHANG | WNOWAIT) == 0
        && status.si_signo == SIGCHLD
      return hasEnded || isReady()
    }
    guard isUp, !hasEnded else {
      stop()
      return nil
    }
  }

  deinit { stop() }

  /// Kills it, and waits until it has ended. May be repeated. A kinder signal would have some servers wait for the
  /// last of their clients.
  public func stop() {
    hasStopped.withLock { hasStopped in
      if hasStopped { return }
      hasStopped = true
      kill(running.process, SIGKILL)
      _ = running.wait()
    }
  }
}

/// An NBD server that serves one image on a socket of its own.
public final class NBDServer: Sendable {
  private let folder = TemporaryFolder()
  private let server: Server
  /// Where it is reached.
  public let uri: String
  /// Its socket.
  public let socket: String

  /// `nbdkit` with a plugin and its parameters.
  public convenience init?(nbdkit words: String...) {
    self.init { ["nbdkit", "--foreground", "--unix", $0] + words }
  }

  /// `qemu-nbd` with an image in one of QEMU's formats, read-only.
  public convenience init?(qemu image: String, format: String) {
    self.init { ["qemu-nbd", "--read-only", "--persistent", "--socket", $0, "--format", format, image] }
  }

  private init?(_ words: (_ socket: String) -> [String]) {
    let socket = folder("nbd.sock")
    let started = Server(words(socket)) {
      run("nbdinfo", "--size", "nbd+unix:///?socket=\(socket)").status == 0
    }
    guard let started else { return nil }
    (server, self.socket, uri) = (started, socket, "nbd+unix:///?socket=\(socket)")
  }

  /// Ends it.
  public func stop() { server.stop() }
}
