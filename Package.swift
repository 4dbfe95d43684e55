// swift-tools-version: 6.0
import PackageDescription

let package = Package(
  name: "bootsim",
  products: [
    .executable(name: "bootsim", targets: ["bootsim"]),
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
        "Reports", "Sim", "LinuxConfig", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .testTarget(name: "SimTests", dependencies: ["Sim", "LinuxConfig"]),
    .testTarget(name: "ReportsTests", dependencies: ["Reports", "Sim", "LinuxConfig"]),
    .testTarget(name: "BootsimTests", dependencies: ["bootsim", "Sim", "LinuxConfig"]),
  ]
)
