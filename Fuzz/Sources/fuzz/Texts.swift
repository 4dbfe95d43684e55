import ArgumentParser
import Glibc

@testable import FuseLunCode
@testable import LUNStore

/// What people write after `-o`.
@Sendable func fuzzOptions(_ input: Input) {
  let parts = input.text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  tolerating { _ = try MountOptions(parts).argument(store: parts.last ?? "") }
  // What the kernel says of other mounts.
  input.rest.withUnsafeBytes { _ = MountTable.Entry(line: $0) }
}

/// Sizes, names, times and images, as people write them and records keep them.
@Sendable func fuzzSize(_ input: Input) {
  let text = input.text
  tolerating {
    let size = try ByteCount(parsing: text)
    precondition(!size.description.isEmpty && size.bytes >= 0)
  }
  tolerating { _ = try LUNRequest(name: text, size: text, blockSize: text) }
  tolerating {
    let name = try VolumeName(text)
    precondition(name.description.utf8.elementsEqual(text.utf8), "a name is not what was written")
  }
  _ = Duration(parsing: text)
  if let base = BaseReference(recorded: text) { precondition(base.recorded == text) }
  precondition(printable(text).utf8.count <= 320)
}

/// What a command sends to a mount, and what a mount sends back; the first byte says which.
@Sendable func fuzzControl(_ input: Input) {
  var input = input
  let choice = input.byte()
  let line = Array(input.rest)
  if choice & 1 == 0 {
    tolerating {
      let head = try decodeLine(RequestHead.self, line)
      for type in storeRequests where type.name == head.name { try receive(type, line) }
    }
  } else {
    let type = storeRequests[Int(choice >> 1) % storeRequests.count]
    tolerating { try readAnswer(to: type, line) }
  }
}

private func receive<Request: StoreRequest>(_: Request.Type, _ line: [UInt8]) throws {
  let request = try decodeLine(RequestLine<Request>.self, line).request
  _ = try encodeLine(RequestLine(request: request))
  switch request {
  // What neither waits nor leaves anything behind that the next input would find.
  case is PingRequest, is MountInfoRequest, is LayersRequest, is LogStopRequest, is LogMarkRequest:
    _ = try request.perform(on: store.server) { _, _ in }
  case let arm as ArmRequest:
    let lun = try store.open.volume(VolumeName(arm.volume))
    let new =
      try arm.isFault
      ? NewLayer(fault: arm.kind, arm.options, on: lun) : NewLayer(arm.kind, arm.options, on: lun)
    _ = (new.layer.settings, new.layer.warnings(on: lun), new.powerCut)
  case let clone as CloneRequest: _ = try (VolumeName(clone.source), LUNName(clone.name))
  case let set as SetRequest: _ = set.change.problems
  case let rebuild as LogRebuildRequest:
    _ = try store.open.store.log(rebuild.log, of: LUNName(rebuild.lun), from: rebuild.position)
  default: break
  }
}

private func readAnswer<Request: StoreRequest>(to _: Request.Type, _ line: [UInt8]) throws {
  let reply = try decodeLine(ReplyLine<Request.Answer>.self, line)
  if let progress = reply.progress, progress.count == 2, progress[1] > 0 {
    _ = ProgressBar.line(progress[0], of: progress[1])
  }
  for problem in reply.problems ?? [] { _ = printable(problem.description, atMost: 1 << 20) }
  for report in reply.answer as? [LayerReport] ?? [] { _ = report.settingsText }
}
