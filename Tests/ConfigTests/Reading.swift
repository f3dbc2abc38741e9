// SPDX-License-Identifier: Apache-2.0
import Config

/// The least that a config must say, with `extra` members of the document before it.
func document(_ extra: String = "", type: String = "", plugin: String = "") -> String {
  """
  {\(extra.isEmpty ? "" : extra + ",")
  "plugins": {"p": {"path": "lib/p.so"\(plugin.isEmpty ? "" : ", " + plugin)}},
  "types": {"t": {"executor": "p/run"\(type.isEmpty ? "" : ", " + type)}}}
  """
}

func parse(_ text: String, _ environment: [String: String] = [:]) throws(ConfigErrors) -> Config {
  try Config.parse(Array(text.utf8), file: "config.json", directory: "/etc/roost", environment: environment)
}

/// What is wrong with a text, as `path: message` lines without the place.
func issues(_ text: String, _ environment: [String: String] = [:]) -> [String] {
  do throws(ConfigErrors) {
    _ = try parse(text, environment)
    return []
  } catch {
    return error.issues.map { $0.path.isEmpty ? $0.message : "\($0.path): \($0.message)" }
  }
}
