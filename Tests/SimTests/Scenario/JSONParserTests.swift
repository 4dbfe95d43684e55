import LinuxConfig
import Testing

@testable import Sim

@Suite struct JSONParserTests {
  private func parse(_ text: String) -> Parsed<JSONValue?> { JSONParser.parse(text, file: "t.json") }

  @Test(
    "valid documents come out as they went in",
    arguments: [
      ("null", "null"), ("true", "true"), (" -0.5e+3 ", "-0.5e+3"), ("[]", "[]"), ("{}", "{}"),
      (#"{"a": [1, {"b": null}], "c": "d"}"#, #"{"a":[1,{"b":null}],"c":"d"}"#),
      ("// first\n[1, /* two */ 2, // three\n]", "[1,2]"),
      ("{a: 1, 'b c': 'd\"e',}", #"{"a":1,"b c":"d\"e"}"#),
      (#"["\u00e9\ud83d\ude00\n\/"]"#, "[\"é😀\\n/\"]"),
      ("\u{FEFF}[1]", "[1]"), ("['a\\\nb']", #"["ab"]"#),
    ])
  func validDocumentsComeOutAsTheyWent(text: String, written: String) {
    let parsed = parse(text)
    #expect(parsed.problems.isEmpty)
    #expect(parsed.value?.text() == written)
  }

  @Test(
    "a mistake is named with its place",
    arguments: [
      ("", "1:1: error: there is no JSON document here, only an empty file"),
      (" // x", "1:6: error: there is no JSON document here, only space and comments"),
      ("[1] 2", "1:5: error: unexpected '2' after the end of the document"),
      ("[1,\n 2", "1:1: error: '[' is never closed"),
      ("{\"a\": [1}", "1:9: error: '}' closes the '[' of line 1, column 7"),
      ("[1 2]", "1:3: error: ',' is missing here"),
      ("{\"a\" 1}", "1:6: error: expected ':' after \"a\", found '1'"),
      ("{\"a\" = 1}", "1:6: error: expected ':' after \"a\", found '='"),
      ("{\"a\": 1, \"a\": 2}", "1:10: error: \"a\" is given twice in this object"),
      ("[,1]", "1:2: error: a value is missing before ','"),
      ("[01]", "1:2: error: 01 is no JSON number"), ("[+1]", "1:2: error: +1 is no JSON number"),
      ("[.5]", "1:2: error: .5 is no JSON number"), ("[10GiB]", "1:2: error: 10GiB is no JSON number"),
      ("[True]", "1:2: error: True is no JSON value"), ("[NaN]", "1:2: error: NaN is no JSON value"),
      ("[\"a\nb\"]", "1:2: error: the text is not closed before the end of the line"),
      ("[\"\\x\"]", "1:3: error: \\ before 'x' is no escape"),
      ("[\"\\ud800\"]", "1:3: error: \\ud800 is the first half of a pair without its second half"),
      ("[\"\\ud800\\u0041\"]", "1:3: error: \\ud800 is the first half of a pair without its second half"),
      ("[\"\\udc00\"]", "1:3: error: \\udc00 is the second half of a pair without its first half"),
      ("[\"\\u12\"]", "1:3: error: \\u needs four hexadecimal digits, found '\"'"),
      ("[\"\\u0000\"]", "1:3: error: \\u0000: no text in a scenario can hold a NUL character"),
      ("[\"a\tb\"]", "1:4: error: a bare control character, the byte 0x9, in a text"),
      ("[1]\n/* x", "2:1: error: the comment '/*' is never closed"),
      ("\n\u{0}", "2:1: error: a NUL byte: this is not a text file"),
      ("[@]", "1:2: error: expected a value, found '@'"), ("[", "1:1: error: '[' is never closed"),
    ])
  func aMistakeIsNamedWithItsPlace(text: String, problem: String) {
    let found = parse(text).problems.map { String($0.description.split(separator: "\n")[0]) }
    #expect(found.contains("t.json:\(problem)"), "\(found)")
  }

  @Test("every mistake is found in one run, and what is right is still read")
  func everyMistakeIsFoundInOneRun() {
    let parsed = parse(
      """
      {
        "a": tru,
        "b": 1
        "c": "x\\q",
        "d": [1, , 2],
        "e" 5,
        "f": 6
      }
      """)
    #expect(parsed.problems.map(\.line) == [2, 3, 4, 5, 6])
    #expect(parsed.value?["f"]?.text() == "6")
  }

  @Test("a bracket of the wrong kind is one mistake") func aBracketOfTheWrongKindIs() {
    #expect(parse("{\"a\": [1}").problems.count == 1)
    #expect(parse("[{\"a\": 1]").problems.count == 1)
    #expect(parse("[1}").problems.count == 1)
    #expect(parse("[{\"a\": [").problems.map(\.message) == ["'[' is never closed, nor are the 2 around it"])
  }

  @Test("bytes that are not UTF-8 are errors with their place") func bytesThatAreNotUTF8Are() {
    for bad: [UInt8] in [
      [0x80], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82],
    ] {
      let parsed = JSONParser.parse([0x5B, 0x22] + bad + [0x22, 0x5D], file: "t.json")
      #expect(parsed.problems.first?.column == 3, "\(bad)")
      #expect(parsed.problems.first?.message.contains("is not valid UTF-8") == true)
    }
    #expect(JSONParser.parse([0xFF, 0xFE, 0x5B, 0], file: "t").problems.first?.message == "this is UTF-16")
  }

  @Test("nesting is read to its limit, and reported beyond, however deep") func nestingIsReadToItsLimitAnd() {
    let limit = JSONParser.depthLimit
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    #expect(parse(nested(limit)).problems.isEmpty)
    let beyond = parse(nested(limit + 1))
    #expect(beyond.problems.map(\.message) == ["nested deeper than 256 levels"])
    #expect(parse(nested(1_000_000)).problems.count == 1)
    #expect(parse(String(repeating: "{\"a\":", count: 500_000)).hasErrors)
  }

  @Test("more values than any scenario has are refused") func moreValuesThanAnyScenarioHasAre() {
    let text = Array(("[" + String(repeating: "[],", count: 99) + "]").utf8)
    #expect(JSONParser.parse(text, file: "t", valueLimit: 100).problems.isEmpty)
    let more = JSONParser.parse(text, file: "t", valueLimit: 99).problems
    #expect(more.map(\.message) == ["more than 99 values"])
  }

  @Test("a file of mistakes gives a bounded list") func aFileOfMistakesGivesABounded() {
    let parsed = parse(String(repeating: "@ ", count: 100_000))
    #expect(parsed.problems.count <= JSONParser.problemLimit + 1)
    let list = parse("[" + String(repeating: "tru,", count: 1000) + "]")
    #expect(list.problems.count == JSONParser.problemLimit + 1)
  }

  @Test("damaged text never traps and never hangs") func damagedTextNeverTrapsAndNeverHangs() {
    let seed = Array(#"{"a": [1, -2.5e3, "x\u00e9\n"], 'b': {c: true, /* d */ "e": null}, // f"#.utf8)
    var state: UInt64 = 1
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    let alphabet = Array("{}[]\",:'\\/*tfn019-+.eu \n\u{7F}".utf8) + [0x80, 0xC3, 0xFF]
    for _ in 0..<20_000 {
      var text = seed
      for _ in 0...random(6) {
        let at = random(text.count)
        switch random(3) {
        case 0: text[at] = alphabet[random(alphabet.count)]
        case 1: text.insert(alphabet[random(alphabet.count)], at: at)
        default: text.removeSubrange(at..<min(text.count, at + 1 + random(5)))
        }
        if text.isEmpty { text = seed }
      }
      let parsed = JSONParser.parse(text, file: "t.json")
      if !parsed.hasErrors { #expect(parsed.value != nil) }
      for problem in parsed.problems { #expect(problem.line >= 1 && (problem.column ?? 1) >= 1) }
    }
  }

  @Test("what is written indented reads back the same") func whatIsWrittenIndentedReadsBackThe() {
    let text =
      #"{"a":[1,[2,{"b":"c\nd"}],{}],"e":{"f":[],"g":"h"},"long":["\#(String(repeating: "x", count: 99))"]}"#
    let value = parse(text).value ?? nil
    let indented = value?.text(indented: true) ?? ""
    #expect(parse(indented).value?.text() == text)
    #expect(indented.contains("\n  \"a\": [\n    1,"))
    #expect(indented.contains("\"e\": { \"f\": [], \"g\": \"h\" }"))
  }
}
