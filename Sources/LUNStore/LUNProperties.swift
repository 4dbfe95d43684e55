/// What initiators see of a LUN besides its bytes, and whether it can be written.
///
/// The store keeps these; iSCSI targets are configured with them (`fuse-lun target`).
public struct LUNProperties: Equatable, Sendable {
  /// Whether writes are refused.
  public var isReadOnly: Bool
  /// The T10 vendor identification in INQUIRY data: at most 8 printable ASCII characters (SPC-4, 6.6.2).
  public var vendor: String
  /// The product identification in INQUIRY data: at most 16 printable ASCII characters.
  public var product: String
  /// The unit serial number, VPD page 80h: at most 32 printable ASCII characters, no space.
  public var serial: String
  /// The NAA designator of VPD page 83h, as 16 or 32 hexadecimal digits in small letters (SPC-4, 7.8.6.6).
  public var naa: String

  /// The properties of a new LUN: its serial number and its NAA designator come from its identifier.
  ///
  /// The designator is a locally assigned one (NAA 3h), since only an owner of an IEEE company identifier
  /// may make others.
  public init(of identifier: Identifier) {
    let digits = identifier.description.filter { $0 != "-" }
    isReadOnly = false
    vendor = "FUSE-LUN"
    product = "VIRTUAL DISK"
    serial = digits
    naa = "3" + digits.prefix(15)
  }

  /// What to change; `nil` leaves a property as it is.
  public struct Change: Equatable, Sendable, Codable {
    /// Whether writes are refused.
    public var isReadOnly: Bool?
    /// The T10 vendor identification.
    public var vendor: String?
    /// The product identification.
    public var product: String?
    /// The unit serial number.
    public var serial: String?
    /// The NAA designator.
    public var naa: String?

    /// A change of what is given.
    public init(
      isReadOnly: Bool? = nil, vendor: String? = nil, product: String? = nil, serial: String? = nil,
      naa: String? = nil
    ) {
      (self.isReadOnly, self.vendor, self.product) = (isReadOnly, vendor, product)
      (self.serial, self.naa) = (serial, naa)
    }

    /// Everything that is wrong with the new values.
    public var problems: [StoreError] {
      var found: [StoreError] = []
      func check(_ what: String, _ value: String?, _ isRight: (String) -> Bool, _ rule: String) {
        guard let value, !isRight(value) else { return }
        found.append(
          StoreError(.invalidInput, at: "\(what) '\(printable(value))'", "cannot be", remedy: rule))
      }
      let printableASCII = { (text: String) in text.utf8.allSatisfy { (0x20...0x7E).contains($0) } }
      let trimmed = { (text: String) in text.first != " " && text.last != " " }
      check(
        "vendor", vendor, { !$0.isEmpty && $0.utf8.count <= 8 && printableASCII($0) && trimmed($0) },
        "a vendor has 1 to 8 printable ASCII characters, with no space at either end")
      check(
        "product", product, { !$0.isEmpty && $0.utf8.count <= 16 && printableASCII($0) && trimmed($0) },
        "a product has 1 to 16 printable ASCII characters, with no space at either end")
      check(
        "serial", serial,
        { !$0.isEmpty && $0.utf8.count <= 32 && printableASCII($0) && !$0.utf8.contains(0x20) },
        "a serial number has 1 to 32 printable ASCII characters and no space")
      check(
        "NAA", naa,
        { text in
          let digits = text.utf8.allSatisfy { "0123456789abcdefABCDEF".utf8.contains($0) }
          return digits
            && (text.utf8.count == 16 && "235".contains(text.first!)
              || text.utf8.count == 32 && text.first == "6")
        },
        "16 hexadecimal digits that begin with 2, 3 or 5, or 32 that begin with 6 (3 is for local use)")
      return found
    }
  }

  /// These, with some changed.
  public func with(_ change: Change) -> LUNProperties {
    var new = self
    if let isReadOnly = change.isReadOnly { new.isReadOnly = isReadOnly }
    if let vendor = change.vendor { new.vendor = vendor }
    if let product = change.product { new.product = product }
    if let serial = change.serial { new.serial = serial }
    if let naa = change.naa { new.naa = naa.lowercased() }
    return new
  }
}
