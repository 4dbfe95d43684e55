// swift-tools-version: 6.0
import PackageDescription

let package = Package(
  name: "bootsim",
  products: [
    .executable(name: "bootsim", targets: ["bootsim"]),
    .executable(name: "fuse-lun", targets: ["fuse-lun"]),
    .library(name: "Sim", targets: ["Sim"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
  ],
  targets: [
    .target(name: "LinuxConfig"),
    .target(name: "Sim", dependencies: ["LinuxConfig"]),
    .testTarget(name: "LinuxConfigTests", dependencies: ["LinuxConfig"]),
    .target(name: "Reports", dependencies: ["Sim", "LinuxConfig"]),
    .executableTarget(
      name: "bootsim",
      dependencies: [
        "Reports", "Sim", "LinuxConfig", "DiskImage", "Lab", "Version",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .target(name: "Lab", dependencies: ["CLinux", "LinuxConfig", "Reports", "Sim"]),
    .testTarget(
      name: "LabTests", dependencies: ["Lab", "LinuxConfig", "Reports", "Sim", "TestSupport"],
      resources: [.copy("Transcripts")]),
    .testTarget(name: "SimTests", dependencies: ["Sim", "LinuxConfig"]),
    .testTarget(name: "ReportsTests", dependencies: ["Reports", "Sim", "LinuxConfig"]),
    .testTarget(name: "BootsimTests", dependencies: ["bootsim", "Sim", "LinuxConfig"]),
    .target(name: "CLinux"),
    .systemLibrary(name: "CFuse", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
    .systemLibrary(name: "CBlkid", pkgConfig: "blkid", providers: [.apt(["libblkid-dev"])]),
    .target(name: "CNbd"),
    .target(name: "CURing"),
    .target(name: "Version"),
    .target(name: "LUNStore", dependencies: ["CLinux", "CNbd"], exclude: ["FORMAT.md", "WRITELOG.md"]),
    .target(name: "DiskImage", dependencies: ["CBlkid", "CLinux", "LUNStore"]),
    .executableTarget(
      name: "fuse-lun",
      dependencies: [
        "CFuse", "CLinux", "CURing", "LUNStore", "Version",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .target(name: "TestSupport", path: "Tests/TestSupport"),
    .target(name: "CSyncProbe", path: "Tests/CSyncProbe"),
    .testTarget(name: "LUNStoreTests", dependencies: ["CSyncProbe", "LUNStore", "TestSupport"]),
    .testTarget(name: "DiskImageTests", dependencies: ["DiskImage", "LUNStore", "TestSupport"]),
    .testTarget(
      name: "FuseLunTests",
      dependencies: ["fuse-lun", "CLinux", "LUNStore", "DiskImage", "TestSupport", "Version"]),
  ]
)
