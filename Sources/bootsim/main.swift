import Sim
import LinuxConfig
import Foundation
let args = CommandLine.arguments
for file in args.dropFirst() where !file.hasPrefix("--") {
  let bytes = [UInt8](FileManager.default.contents(atPath: file)!)
  let resources = ScenarioResources(profile: { (name, _) throws(ScenarioResources.Failure) in
    guard let d = FileManager.default.contents(atPath: "Scenarios/profiles/\(name).json") else { throw ScenarioResources.Failure("no profile \(name)") }
    return ScenarioResources.Document([UInt8](d), file: name) }, folder: ScenarioResources.embedded.folder, image: ScenarioResources.embedded.image)
  let p = ScenarioDecoder(resources).load(bytes, file: file)
  for q in p.problems { print(q) }
  guard let l = p.value else { continue }
  let r = Bootsim.simulate(l.scenario)
  print("==", file, r.verdict, r.states, r.complete)
  for (i, o) in r.outcomes.enumerated() {
    print(" outcome", i, o.share)
    if i == 0 || args.contains("--all") { if args.contains("--log") { for t in o.timeline { print(String(format: "%9.3f", Double(t.time) / 1e6), t.console ? " " : "*", t.part + ":", t.text) } } }
    for b in o.boots { print("  boot", b.outcome, b.stage?.rawValue ?? "-", b.finding ?? "-", Double(b.at) / 1e6, b.rootDevice ?? "-", b.disks.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }); for w in b.because { print("     because", w) } }
    for b in o.shutdowns { print("  shutdown", b.outcome, b.finding ?? "-", Double(b.at) / 1e6, b.lostWrites, b.fileSystem); for w in b.because { print("     because", w) } }
  }
  for n in r.notLookedAt { print(" not looked at:", n) }
}
