// SPDX-License-Identifier: Apache-2.0
package import Config
internal import Glibc
package import PluginFiles
internal import TaskModel
internal import Synchronization
internal import Threading

extension PluginProber {
  /// Plugins that are loaded at once, so that a config of many is checked fast and one core is left for others.
  private static let crew = 4

  /// Checks what the text of a config cannot tell: the machine, every plugin, and that each has what the types name.
  ///
  /// With `copies` just those are loaded, and plugins without one are passed over; without, the files themselves are.
  /// `known` is what is wrong already: nothing is said that only follows from it.
  package static func check(
    _ config: Config, copies: [String: StoredPlugin]? = nil, despite known: [ConfigIssue] = [],
    program: String = ownProgram
  ) -> (issues: [ConfigIssue], answers: [String: Answer]) {
    let isKnown = { (path: String) in known.contains { $0.path == path || path.hasPrefix($0.path + ".") } }
    var issues = Machine.own.issues(of: config).filter { issue in
      !isKnown(issue.path) && !(issue.path.hasSuffix(".user") && known.contains { $0.path.hasPrefix("redis") })
    }
    var answers: [String: Answer] = [:]
    let plugins = config.plugins.filter { name, _ in
      !isKnown("plugins.\(name).path") && (copies == nil || copies?[name] != nil)
    }
    let outcomes = each(plugins.sorted { $0.key < $1.key }) { name, plugin in
      outcome(of: name, plugin, copy: copies?[name]?.copy, in: config.directory, program)
    }
    for (name, outcome) in outcomes {
      switch outcome {
      case .success(let answer): answers[name] = answer
      case .failure(let failure): issues.append(failure.issue(of: name))
      }
    }
    for (name, type) in config.types.sorted(by: { $0.key < $1.key }) {
      let references: [(String, ExportRef?, PluginExportKind)] = [
        ("executor", type.executor, .executor), ("callback", type.callback, .callback),
        ("exceptionHandler", type.exceptionHandler, .exceptionHandler),
      ]
      for (field, reference, kind) in references {
        guard let reference, let answer = answers[reference.plugin] else { continue }
        let there = answer.names(kind)
        guard !there.contains(reference.export) else { continue }
        let list = there.isEmpty ? "it has none" : "it has: \(there.sorted().joined(separator: ", "))"
        issues.append(
          ConfigIssue(
            path: "types.\(name).\(field)",
            message: "plugin \"\(reference.plugin)\" has no \(kind.words) \"\(reference.export)\"; \(list)"))
      }
    }
    return (issues, answers)
  }

  private static func outcome(
    of name: String, _ plugin: PluginConfig, copy: String?, in directory: String, _ program: String
  ) -> Result<Answer, Failure> {
    do throws(PluginError) {
      // Before any of its code runs; of a copy it was seen to when it was made.
      if copy == nil, plugin.sha256 != nil { _ = try PluginFile(name: name, path: plugin.path, sha256: plugin.sha256) }
    } catch {
      return .failure(Failure(error))
    }
    return Result { () throws(Failure) in
      try probe(name: name, path: plugin.path, copy: copy, directory: directory, program: program)
    }
  }

  /// Calls `body` for each element, a few at a time; the results are in the order of the elements.
  private static func each<Element: Sendable, Value: Sendable>(
    _ elements: [(key: String, value: Element)], _ body: @escaping @Sendable (String, Element) -> Value
  ) -> [(String, Value)] {
    let next = Lock(0)
    let results = Lock<[Int: Value]>([:])
    let threads = (0..<min(crew, elements.count)).map { _ in
      NativeThread(name: "probe") {
        while true {
          let index = next.withLock { next in
            next += 1
            return next - 1
          }
          guard index < elements.count else { return }
          let value = body(elements[index].key, elements[index].value)
          results.withLock { $0[index] = value }
        }
      }
    }
    for thread in threads { thread.join() }
    let all = results.withLock { $0 }
    return elements.indices.compactMap { index in all[index].map { (elements[index].key, $0) } }
  }
}

extension PluginProber.Failure {
  /// As it is told of the config that names the plugin.
  func issue(of plugin: String) -> ConfigIssue {
    ConfigIssue(path: "plugins.\(plugin).\(code == "PLUGIN_HASH" ? "sha256" : "path")", message: message)
  }
}
