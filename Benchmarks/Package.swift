// swift-tools-version: 6.0
import PackageDescription

// bench: the engine's sources are compiled into it (Sources/bench/Engine is a link to them), so that generic
// code is specialized for the benchmark's models just as it is for the machine model within Sim.
// bench-lun: starts fuse-lun and its peers as programs, and fio as the client of each.
let package = Package(
  name: "Benchmarks",
  targets: [.executableTarget(name: "bench"), .executableTarget(name: "bench-lun")]
)
