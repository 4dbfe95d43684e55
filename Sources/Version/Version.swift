/// The version of `bootsim` and `fuse-lun`, which are released together.
public let version = "0.1.0"
