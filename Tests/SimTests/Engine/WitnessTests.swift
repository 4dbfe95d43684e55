import Testing

@testable import Sim

@Suite("The text of a witness")
struct WitnessTests {
  @Test(
    "is read back as it was written",
    arguments: [
      Witness(), Witness(phases: [[]]), Witness(phases: [[], []]),
      Witness(phases: [
        [.init(code: .max, time: .zero), .init(code: 7, occurrence: 2, time: .maximum)], [],
        [.init(code: 0, time: .seconds(1))],
      ]),
    ])
  func roundTrip(_ witness: Witness) throws {
    #expect(try Witness(parsing: witness.description) == witness)
  }

  @Test("has a form that does not change")
  func form() throws {
    let witness = Witness(phases: [
      [.init(code: 0x3f, time: .milliseconds(400)), .init(code: 7, occurrence: 1, time: .seconds(1))],
      [.init(code: 18, time: .zero)],
    ])
    #expect(witness.description == "1/3f@400000,7#1@1000000/12@0")
    #expect(try Witness(parsing: " 1\n/ 3F@400000,\n 7#1@1000000\n/12@0\n") == witness)
  }

  @Test(
    "that is none is refused with the place and what would be right",
    arguments: [
      ("", "1:1: expected the version of the schedule, 1"),
      ("2/", "1:1: the schedule has version 2; this program reads version 1"),
      ("1x", "1:2: expected '/' and a phase, or the end"),
      ("1/3f", "1:5: expected '@' and a time in microseconds"),
      ("1/3f@", "1:6: expected a time in microseconds"),
      ("1/3f@5,", "1:8: expected the code of an event in hexadecimal"),
      ("1/3f@5,4@4", "1:11: the time 0.000004s is before that of the step before it, 0.000005s"),
      ("1/\n3f@99999999999999999999", "2:4: this number does not fit into 64 bits"),
      (
        "1/1@288230376151711745",
        "1:23: the time 288230376151711745 is beyond the largest, 288230376151711744 microseconds"
      ),
      ("1/1#99999999@5", "1:13: the occurrence 99999999 is impossibly large"),
      ("1/10000000000000000@5", "1:3: this number does not fit into 64 bits"),
      ("1/\u{0}", "1:3: expected the code of an event in hexadecimal"),
    ])
  func errors(_ text: String, _ message: String) {
    #expect(throws: WitnessError.self) { try Witness(parsing: text) }
    do {
      _ = try Witness(parsing: text)
    } catch {
      #expect(error.description == message)
    }
  }
}
