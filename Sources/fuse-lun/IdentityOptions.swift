import ArgumentParser
import LUNStore

/// What initiators see of a LUN.
struct IdentityOptions: ParsableArguments {
  @Option(help: "The T10 vendor identification: at most 8 ASCII characters.")
  var vendor: String?

  @Option(help: "The product identification: at most 16 ASCII characters.")
  var product: String?

  @Option(help: "The unit serial number: at most 32 ASCII characters.")
  var serial: String?

  @Option(help: "The NAA designator: 16 or 32 hexadecimal digits.")
  var naa: String?

  func change(isReadOnly: Bool?) -> LUNProperties.Change {
    LUNProperties.Change(
      isReadOnly: isReadOnly, vendor: vendor, product: product, serial: serial, naa: naa)
  }
}
