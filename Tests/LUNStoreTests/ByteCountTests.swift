import TestSupport
import Testing

@testable import LUNStore

@Suite("Sizes")
struct ByteCountTests {
  @Test(
    "are read as coreutils and qemu-img read them",
    arguments: [
      ("0", 0), ("1", 1), ("512", 512), ("512B", 512), ("1K", 1024), ("1k", 1024), ("1KiB", 1024),
      ("1KB", 1000),
      ("512M", 536_870_912), ("10G", 10_737_418_240), ("10GiB", 10_737_418_240), ("10gib", 10_737_418_240),
      ("10GB", 10_000_000_000), ("2T", 2_199_023_255_552), ("1P", 1_125_899_906_842_624),
      ("1.5G", 1_610_612_736), ("1.50GiB", 1_610_612_736), ("0.5K", 512), ("2.5MB", 2_500_000), ("1.0", 1),
      ("0.000000000000000001EB", 1), ("7.5E", 8_646_911_284_551_352_320),
      ("7E", 8_070_450_532_247_928_832), ("007", 7), ("9223372036854775807", Int64.max),
    ] as [(String, Int64)])
  func parsed(_ text: String, _ bytes: Int64) throws {
    #expect(try ByteCount(parsing: text).bytes == bytes)
  }

  @Test(
    "that cannot be are refused with what they are",
    arguments: [
      "", " ", "G", "-1", "+1", "1.5", "0.3G", "1.2345K", "1.G", ".5G", "1..5G", "1.5.5G", "1,5G",
      "0.0000000000000000001E", "8.0E", "7.99999999999999999999E", "1.5GG", "1.5-G", "10X", "10GG", "10 G",
      "10Gi", "0x10", "1e9", "١٢", "10G\0",
      "10G\n", "8E", "9223372036854775808", "99999999999999999999999999", "1G1", "½G",
      String(repeating: "9", count: 9999),
    ])
  func refused(_ text: String) {
    let error = thrown(StoreError.self) { try ByteCount(parsing: text) }
    #expect(error?.kind == .invalidInput)
    #expect(error?.place.hasPrefix("size '") == true)
    #expect((error?.description.utf8.count ?? 0) < 700)
    #expect(error?.description.unicodeScalars.contains { $0.value < 32 } == false)
  }

  @Test(
    "may be said as a difference",
    arguments: [
      ("20G", 5, 20 << 30), ("+1K", 512, 1536), ("-1K", 4096, 3072), ("+1.5K", 512, 2048), ("+0", 512, 512),
    ] as [(String, Int64, Int64)])
  func difference(_ text: String, _ now: Int64, _ new: Int64) throws {
    #expect(try SizeChange(parsing: text).applied(to: now) == new)
  }

  @Test(
    "as a difference that leaves nothing, or is too much, are refused",
    arguments: [
      ("-1K", 1024, "leaves nothing of the 1024 bytes"), ("-8E", 1, "2^63"), ("+7E", 7 << 60, "2^63"),
      ("-7E", 1, "1 byte of"),
    ]
      as [(String, Int64, String)])
  func impossible(_ text: String, _ now: Int64, _ problem: String) {
    let error = thrown(StoreError.self) { try SizeChange(parsing: text).applied(to: now) }
    #expect(error?.kind == .invalidInput && error?.problem.contains(problem) == true, "\(error as Any)")
  }

  @Test(
    "are written in the unit that reads best",
    arguments: [
      (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (10 << 30, "10 GiB"),
      (Int64.max, "8.0 EiB"),
    ] as [(Int64, String)])
  func written(_ bytes: Int64, _ text: String) {
    #expect(ByteCount(bytes).description == text)
  }
}

@Suite("Names of LUNs")
struct LUNNameTests {
  @Test(
    "may be anything that is one file name on one line",
    arguments: [
      "disk0", "a", "iqn.2004-10.org.example:root", "-x", "with space", "Größe", "磁碟", "🙂", "a.b", "a..b",
      String(repeating: "x", count: 255),
    ])
  func accepted(_ text: String) throws {
    #expect(try LUNName(text).text == text)
  }

  @Test(
    "that would not be are refused with the rule they break",
    arguments: [
      ("", "empty"), (".", "begins with a '.'"), ("..", "begins with a '.'"),
      (".hidden", "begins with a '.'"),
      ("a/b", "'/'"), ("/", "'/'"), ("../x", "'/'"), ("a@b", "'@'"), ("a\nb", "control"), ("a\0b", "control"),
      ("a\u{7F}", "control"), ("a\u{85}b", "control"), ("a\u{2028}b", "control"), ("a\u{202E}b", "direction"),
      ("a\u{FFFD}", "UTF-8"),
      (String(repeating: "x", count: 256), "256 bytes"), (String(repeating: "é", count: 128), "256 bytes"),
    ])
  func refused(_ text: String, _ rule: String) {
    let error = thrown(StoreError.self) { try LUNName(text) }
    #expect(error?.problem.contains(rule) == true)
    #expect(error?.description.unicodeScalars.contains { $0.value < 32 } == false)
  }

  @Test("tell every broken rule at once")
  func allRules() {
    let error = thrown(StoreError.self) { try LUNName(".a/b@c\n") }
    for rule in ["'.'", "'/'", "'@'", "control"] { #expect(error?.problem.contains(rule) == true) }
  }

  @Test("are the same only when their bytes are, whatever they look like")
  func bytesDecide() throws {
    let (composed, decomposed) = ("\u{E9}", "e\u{301}")
    #expect(composed == decomposed)
    #expect(try LUNName(composed) != LUNName(decomposed))
    #expect(try Set([LUNName(composed), LUNName(decomposed), LUNName(composed)]).count == 2)
  }
}
