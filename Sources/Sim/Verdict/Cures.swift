struct Cures {
  let scenario: Scenario
  let budget: Int
  init(_ scenario: Scenario, budget: Int) { self.scenario = scenario; self.budget = budget }
  func verified(for report: Report) -> [Fix] { [] }
}
