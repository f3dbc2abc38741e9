// SPDX-License-Identifier: Apache-2.0
internal import Config
internal import TaskHost
internal import TaskModel

extension Verb {
  /// Says everything that is wrong with a config.
  static let check = Verb(
    name: "check", positionals: "[PLUGIN.so]", count: 0...1,
    summary: "Check the whole config, or one plugin file, without starting anything",
    options: [.config, .json], run: runCheck)
}

private func runCheck(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  if let plugin = arguments.positionals.first {
    let answer = try probe(plugin)
    if arguments.has("json") { try Terminal.write(answer.json + [0x0a]) } else { try Terminal.line("\(plugin): ok") }
    return .ok
  }
  let path = ConfigFile.path(arguments)
  do throws(ConfigErrors) {
    _ = try ConfigFile.check(path)
  } catch {
    guard arguments.has("json") else { throw ConfigFile.failure(error) }
    try printReport(path, error.issues)
    return .failed
  }
  if arguments.has("json") { try printReport(path, []) } else { try Terminal.line("\(path): ok") }
  return .ok
}

private func printReport(_ file: String, _ issues: [ConfigIssue]) throws(CommandError) {
  var writer = JSONWriter()
  writer.beginObject()
  writer.member("file", file)
  writer.member("ok", issues.isEmpty)
  writer.key("issues")
  issues.write(to: &writer)
  writer.endObject()
  try Terminal.write(writer.bytes + [0x0a])
}
