import ArgumentParser

/// What is said about the images that a store of another user names.
struct ImageOptions: ParsableArguments {
  @Flag(
    help: """
      In a store of another user, open every image that it names, and not only what that user may read. Who can write to \
      the store learns what is in them.
      """)
  var trustImages = false
}
