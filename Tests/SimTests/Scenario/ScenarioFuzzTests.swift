import LinuxConfig
import Testing

@testable import Sim

/// Documents damaged at random, value by value and byte by byte: whatever comes, the decoder returns, and
/// says why when it makes no scenario.
@Suite struct ScenarioFuzzTests {
  private struct Random {
    var state: UInt64
    mutating func below(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
  }

  private static let document: String = ScenarioDecoderTests.whole.replacing(
    "\"expect\":",
    with: """
      "vary": [{"usb": "usb0"}, {"order": "machine.disks"}, {"path": "machine.memory", "values": ["1GiB", "2GiB"],
        "labels": ["a", "b"]}, {"path": "targets[0].luns[lun=1].size", "values": ["10GiB"]}],
      "expect":
      """)

  private static let oddities: [JSONValue] = [
    JSONValue(.null), true, 0, -1, JSONValue(.number("1e999")), JSONValue(.number("99999999999999999999")),
    "", "0s",
    "999999999999h", "9223372036854775807B", "-5GiB", "usb0", "ide0", "iqn.a:t", "/", "//..//", "/etc",
    "\u{0301}",
    "[::1]:99999", "...", "()", "machine", "machine.usb[", "story[0]", "system.files['/etc", [], [[]], [:],
    ["a": [:]],
    ["1s", "2s"], ["2s", "1s", "1s"], "boot", ["boot", "boot"], ["attach": "usb0"], ["name": "x"], ["lun": 0],
  ]

  /// Replaces, removes or doubles one value somewhere in a document.
  private func damaged(_ value: JSONValue, _ random: inout Random) -> JSONValue {
    var result = value
    switch value.kind {
    case .object(var members) where !members.isEmpty && random.below(8) > 0:
      let index = random.below(members.count)
      switch random.below(12) {
      case 0: members.remove(at: index)
      case 1: members[index].name = members[random.below(members.count)].name
      case 2: members[index].name.append("x")
      default: members[index].value = damaged(members[index].value, &random)
      }
      result.kind = .object(members)
    case .array(var elements) where !elements.isEmpty && random.below(8) > 0:
      let index = random.below(elements.count)
      switch random.below(8) {
      case 0: elements.remove(at: index)
      case 1: elements.append(elements[index])
      default: elements[index] = damaged(elements[index], &random)
      }
      result.kind = .array(elements)
    default: result = Self.oddities[random.below(Self.oddities.count)]
    }
    return result
  }

  private func check(_ text: String) {
    let loaded = ScenarioDecoderTests.load(text, profiles: ScenarioDecoderTests.profiles)
    if let value = loaded.value {
      for number in [0, value.variation.count / 2, value.variation.count - 1] where number >= 0 {
        let variant = value.variation.scenario(value.variation.choices(of: number))
        #expect(variant.value != nil || variant.problems.contains { $0.severity == .error }, "\(text)")
      }
    } else {
      #expect(loaded.problems.contains { $0.severity == .error }, "\(text)")
    }
  }

  @Test("damaged values never trap") func damagedValuesNeverTrap() throws {
    let whole = try #require(JSONParser.parse(Self.document, file: "s.json").value)
    #expect(ScenarioDecoderTests.load(whole.text()).value != nil)
    var random = Random(state: 1)
    for _ in 0..<1500 {
      var value = whole
      for _ in 0...random.below(3) { value = damaged(value, &random) }
      if random.below(4) == 0 {
        value["profile"] = JSONValue(["base", "child", "left", "wrong"][random.below(4)])
      }
      check(value.text())
    }
  }

  @Test("damaged bytes never trap") func damagedBytesNeverTrap() {
    let whole = Array(Self.document.utf8)
    var random = Random(state: 2)
    for _ in 0..<300 {
      var bytes = whole
      for _ in 0...random.below(3) {
        let at = random.below(bytes.count)
        if random.below(2) == 0 { bytes[at] = UInt8(random.below(256)) } else { bytes.remove(at: at) }
      }
      let loaded = ScenarioDecoder().load(bytes, file: "s.json")
      #expect(loaded.value != nil || loaded.problems.contains { $0.severity == .error })
    }
  }
}

extension JSONValue {
  fileprivate init(_ text: String) { self.init(.string(text)) }
}
