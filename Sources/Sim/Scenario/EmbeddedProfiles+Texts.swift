// Made from Scenarios/profiles/*.json. To make it anew:
//   UPDATE_PROFILES=1 swift test --filter EmbeddedProfilesTests
// swift-format-ignore-file
extension EmbeddedProfiles {
  static let texts: [String: String] = [
    :
  ]
}
