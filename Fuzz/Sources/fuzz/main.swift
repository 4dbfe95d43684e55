import Glibc

// fuzz TARGET [arguments for libFuzzer]
// fuzz --seeds FOLDER       writes a corpus for each target, made of a store that uses everything once

/// What is done with an input. It may find that the input is wrong; what it must not do is end the process, or go on for ever.
let targets: [String: @Sendable (Input) -> Void] = [
  "records": fuzzRecord, "maps": fuzzMap, "logs": fuzzLog, "control": fuzzControl, "options": fuzzOptions,
  "sizes": fuzzSize, "requests": fuzzRequests,
]

nonisolated(unsafe) private var target: (@Sendable (Input) -> Void)?

/// What libFuzzer calls with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  target?(Input(Array(UnsafeBufferPointer(start: bytes, count: count))))
  return 0
}

@_silgen_name("LLVMFuzzerRunDriver")
private func run(
  _ count: UnsafeMutablePointer<Int32>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

let words = CommandLine.arguments
if words.count == 3, words[1] == "--seeds" {
  try writeSeeds(to: words[2])
} else if words.count > 1, let chosen = targets[words[1]] {
  target = chosen
  // The target's name is the program's for libFuzzer.
  var count = CommandLine.argc - 1
  var arguments = CommandLine.unsafeArgv + 1
  // libFuzzer starts the program again by that name where it has to.
  arguments[0] = CommandLine.unsafeArgv[0]
  exit(run(&count, &arguments, testOneInput))
} else {
  print("fuzz TARGET [arguments for libFuzzer]; targets: \(targets.keys.sorted().joined(separator: " "))")
  exit(2)
}
