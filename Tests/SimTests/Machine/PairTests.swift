import Testing

@testable import Sim

/// The pairs of the suite: a failing scenario and the cured one, which is an edit of files, hardware, targets or story.
@Suite struct PairTests {
  /// Two scenarios of one story.
  struct Pair: Sendable, CustomTestStringConvertible {
    var fails: String
    var cured: String

    init(_ folder: String, _ fails: String, _ cured: String) {
      (self.fails, self.cured) = ("\(folder)/\(fails).json", "\(folder)/\(cured).json")
    }

    var testDescription: String { cured }
  }

  private static let intel = "intel-iscsi-remote-boot"
  private static let ubuntu = "ubuntu-sanboot"
  private static let lab = "modern"

  static let pairs = [
    Pair(intel, "s-11-chap-not-in-initrd.fails", "s-11-chap-in-mkinitrd.cured"),
    Pair(intel, "s-13-root-names-install-node.fails", "s-13-root-names-boot-node.cured"),
    Pair(intel, "s-14-device-map-install-node.fails", "s-14-device-map-boot-lun.cured"),
    Pair(intel, "s-15-fstab-install-node.fails", "s-15-fstab-boot-node.cured"),
    Pair(intel, "s-26-haltargs-i.fails", "s-26-haltargs.cured"),
    Pair(intel, "s-26-k90network.fails", "s-26-k90network.cured"),
    Pair(intel, "s-27-bootable-usb-left-in.fails", "s-27-bootable-usb-removed.cured"),
    Pair(intel, "s-29-usb-present-at-boot.fails", "s-29-usb-present-at-boot.cured"),
    Pair(intel, "s-30-then-the-next-boot.fails", "s-30-then-the-next-boot.cured"),
    Pair(intel, "s-32-installed-on-ide.fails", "s-32-installed-on-ide.cured"),
    Pair(intel, "s-71-initiator-name.fails", "s-71-initiator-name.cured"),
    Pair(ubuntu, "s-19-iscsid-killed-open-iscsi.fails", "s-19-iscsid-left-running.cured"),
    Pair(ubuntu, "s-43-auto-eth0-dhcp.fails", "s-43-auto-eth0-manual.cured"),
    Pair(ubuntu, "s-51-k-links.fails", "s-51-k-links.cured"),
    Pair(ubuntu, "s-61-one-session.fails", "s-61-two-sessions.cured"),
    Pair(lab, "lab-f1-fstab-sda1-stick", "lab-f1-cured"),
    Pair(lab, "lab-g6b-setup-wrong-map", "lab-g6b-cured"),
    Pair(lab, "lab-h-auto-dhcp", "lab-h-cured"),
    Pair(lab, "lab-i3-link-150s", "lab-i3-cured"),
    Pair(lab, "lab-l-usb-first", "lab-l-cured"),
  ]

  /// S-06 has no cure by an edit: the other half of the story is another installation (`….boots.json`).
  private static let unpaired = "\(intel)/s-06-boot-on-another-lu.fails.json"

  /// The members whose difference is the cure; the last part is a path of a file, which has dots in it.
  private typealias Place = [String]

  private static func document(_ name: String) throws -> JSONValue {
    try #require(SuiteFolder.entries.first { $0.name == name }, "\(name)").document()
  }

  /// Where two documents differ: members by path; lists and texts as a whole. Titles and expectations aside.
  private static func differences(_ a: JSONValue?, _ b: JSONValue?, at place: Place = []) -> [Place] {
    if place == ["title"] || place == ["expect"] || place == ["source"] { return [] }
    // A member that one of them does not have is compared as an empty one, down to the files.
    if a?.isObject ?? b?.isObject ?? false, b?.isObject ?? true {
      let left = a?.members.map(\.name) ?? []
      let right = b?.members.map(\.name) ?? []
      return (left + right.filter { !left.contains($0) }).flatMap { name in
        differences(a?[name], b?[name], at: place + [name])
      }
    }
    return a?.text() == b?.text() ? [] : [place]
  }

  private static func value(_ place: Place, of document: JSONValue) -> JSONValue? {
    place.reduce(document) { $0?[$1] }
  }

  private static func put(_ value: JSONValue?, at place: ArraySlice<String>, into document: JSONValue)
    -> JSONValue
  {
    guard let name = place.first else { return value ?? document }
    var result = document
    if place.count == 1 {
      result[name] = value
    } else {
      result[name] = put(value, at: place.dropFirst(), into: document[name] ?? JSONValue(.object([])))
    }
    return result
  }

  @Test("each scenario that is called failing or cured has its other half") func eachScenarioHasItsOtherHalf()
  {
    let paired = Set(Self.pairs.flatMap { [$0.fails, $0.cured] } + [Self.unpaired])
    let named = SuiteFolder.entries.map(\.name).filter {
      $0.hasSuffix(".fails.json") || $0.hasSuffix("cured.json")
    }
    #expect(Set(named).subtracting(paired) == [])
    #expect(paired.subtracting(SuiteFolder.entries.map(\.name)) == [])
  }

  @Test(
    "a cure is one to four edits of files, hardware, targets or story, and nothing else", arguments: pairs)
  func aCureIsOneToFourEdits(_ pair: Pair) throws {
    let places = Self.differences(try Self.document(pair.fails), try Self.document(pair.cured))
    #expect((1...4).contains(places.count), "\(places)")
    for place in places {
      let isFile = place.starts(with: ["system", "files"]) && place.count == 3
      #expect(isFile || ["machine", "targets", "story"].contains(place[0]), "\(place)")
    }
  }

  @Test("taking the cure back, place by place, brings the same failure back", arguments: pairs)
  func takingTheCureBack(_ pair: Pair) throws {
    let (failing, cured) = (try Self.document(pair.fails), try Self.document(pair.cured))
    let failed = Conclusion(
      Bootsim.simulate(try SuiteFolder.scenario(of: failing, pair.fails), options: .bare))
    #expect(
      Bootsim.simulate(try SuiteFolder.scenario(of: cured, pair.cured), options: .bare).verdict == .boots)
    #expect(failed.verdict == .fails)
    var back = cured
    for place in Self.differences(failing, cured) {
      back = Self.put(Self.value(place, of: failing), at: place[...], into: back)
    }
    let again = Conclusion(Bootsim.simulate(try SuiteFolder.scenario(of: back, pair.cured), options: .bare))
    #expect(again == failed)
  }
}

extension JSONValue {
  fileprivate var isObject: Bool {
    if case .object = kind { true } else { false }
  }
}
