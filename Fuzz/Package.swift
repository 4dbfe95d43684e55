// swift-tools-version: 6.0
import PackageDescription

// fuzz: one program with all targets for libFuzzer. The sources of fuse-lun are compiled into it (the folders beside its own
// are links to them), so that libFuzzer sees where each input leads. lld, since gold ends in an error on what comes of that.
let fuzzed: [SwiftSetting] = [.unsafeFlags(["-sanitize=fuzzer"])]

let package = Package(
  name: "Fuzz",
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
  ],
  targets: [
    .target(name: "CLinux"),
    .target(name: "CNbd"),
    .target(name: "CURing"),
    .systemLibrary(name: "CFuse", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
    .target(
      name: "LUNStore", dependencies: ["CLinux", "CNbd"], exclude: ["FORMAT.md", "WRITELOG.md"],
      swiftSettings: fuzzed),
    .target(
      name: "FuseLunCode",
      dependencies: [
        "CFuse", "CLinux", "CURing", "LUNStore",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      exclude: ["FuseLun.swift"], swiftSettings: fuzzed),
    .executableTarget(
      name: "fuzz", dependencies: ["CFuse", "CLinux", "FuseLunCode", "LUNStore"], swiftSettings: fuzzed,
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
  ]
)
