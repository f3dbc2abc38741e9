// SPDX-License-Identifier: Apache-2.0
internal import TaskHost
internal import TaskModel

extension Verb {
  /// Shows what a plugin file exports.
  static let inspect = Verb(
    name: "inspect", positionals: "PLUGIN.so", count: 1...1,
    summary: "Print name, version and exports of a plugin file",
    options: [.json], run: runInspect)
}

private func runInspect(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  let answer = try probe(arguments.positionals[0])
  if arguments.has("json") {
    try Terminal.write(answer.json + [0x0a])
    return .ok
  }
  guard let node = try? JSONNode.parse(answer.json) else { return .failed }
  for name in ["name", "version", "toolchain", "build", "path"] {
    try Terminal.line("\(name):\(String(repeating: " ", count: 11 - name.utf8.count))\(node[name]?.text ?? "")")
  }
  try Terminal.line("exports:")
  for export in node["exports"]?.elements ?? [] {
    try Terminal.line("  \(export["kind"]?.text ?? "") \(export["name"]?.text ?? "")")
  }
  for warning in node["warnings"]?.elements ?? [] { try Terminal.error("warning: \(warning.text ?? "")") }
  return .ok
}

/// Asks a plugin file what it is, under its own file name.
func probe(_ path: String) throws(CommandError) -> PluginProber.Answer {
  do throws(PluginProber.Failure) {
    let file = path.split(separator: "/").last.map(String.init) ?? path
    return try PluginProber.probe(name: file, path: path)
  } catch {
    throw .failed(error.message)
  }
}
