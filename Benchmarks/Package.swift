// swift-tools-version: 6.0
import PackageDescription

// The engine's sources are compiled into the benchmark (Sources/bench/Engine is a link to them), so that
// generic code is specialized for the benchmark's models just as it is for the machine model within Sim.
let package = Package(
  name: "Benchmarks",
  targets: [.executableTarget(name: "bench")]
)
