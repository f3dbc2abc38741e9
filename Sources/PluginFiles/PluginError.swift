// SPDX-License-Identifier: Apache-2.0

/// A plugin file under the name that config gives it.
package struct PluginPlace: Sendable, Equatable {
  package let name: String
  /// As config has it, links not followed.
  package let path: String

  package init(name: String, path: String) {
    self.name = name
    self.path = path
  }
}

/// Why a plugin cannot be loaded, or no instance of it be made.
package enum PluginError: Error, Sendable, Equatable {
  case notFound(PluginPlace, missing: String)
  case notFile(PluginPlace, found: String)
  case permission(PluginPlace, problem: String, remedy: String)
  case unreadable(PluginPlace, reason: String)
  case truncated(PluginPlace, size: UInt64, needed: UInt64)
  case notELF(PluginPlace)
  case damaged(PluginPlace, reason: String)
  case architecture(PluginPlace, found: String, expected: String)
  case notShared(PluginPlace, found: String)
  case noEntry(PluginPlace, entry: String, closest: String?)
  case otherDigest(PluginPlace, found: String, expected: String)
  case changing(PluginPlace)
  case notCopied(PluginPlace, to: String, reason: String)
  case dependencyMissing(PluginPlace, dependency: String)
  case symbolUndefined(PluginPlace, symbol: String)
  case loadFailed(PluginPlace, reason: String)
  /// The process that loaded it ended.
  case crashed(PluginPlace, end: String)
  case hangs(PluginPlace, seconds: Int)
  case abiTooNew(PluginPlace, needs: String, known: String)
  case refused(PluginPlace)
  case descriptor(PluginPlace, reason: String)
  case registerFailed(PluginPlace, reason: String)
  case duplicateExport(PluginPlace, kind: String, name: String)
  case settingsRefused(PluginPlace, reason: String)
  case createFailed(PluginPlace, reason: String)
  case startFailed(PluginPlace, reason: String)

  /// Names the kind of failure for programs; never changes.
  package var code: String { explanation.code }

  /// One line for people: which plugin, which file, what is wrong, what to do.
  package var message: String {
    let explanation = explanation
    return "plugin \"\(place.name)\": \(place.path) \(explanation.problem); \(explanation.remedy)"
  }

  /// Whether the same call may succeed later with the same file and settings.
  package var mayBeTriedAgain: Bool {
    switch self {
    case .createFailed, .startFailed: true
    default: false
    }
  }

  package var place: PluginPlace {
    switch self {
    case .notFound(let place, _), .notFile(let place, _), .permission(let place, _, _), .unreadable(let place, _),
      .truncated(let place, _, _), .notELF(let place), .damaged(let place, _), .architecture(let place, _, _),
      .notShared(let place, _), .noEntry(let place, _, _), .otherDigest(let place, _, _), .changing(let place),
      .notCopied(let place, _, _),
      .dependencyMissing(let place, _), .symbolUndefined(let place, _), .loadFailed(let place, _),
      .crashed(let place, _), .hangs(let place, _), .abiTooNew(let place, _, _), .refused(let place),
      .descriptor(let place, _), .registerFailed(let place, _), .duplicateExport(let place, _, _),
      .settingsRefused(let place, _), .createFailed(let place, _), .startFailed(let place, _):
      place
    }
  }
}

extension PluginError: CustomStringConvertible {
  package var description: String { message }
}

extension PluginError {
  private typealias Explanation = (code: String, problem: String, remedy: String)

  private var explanation: Explanation {
    switch self {
    case .notFound, .notFile, .permission, .unreadable, .truncated, .notELF, .damaged, .architecture, .notShared,
      .noEntry, .otherDigest, .changing, .notCopied:
      fileExplanation
    case .dependencyMissing, .symbolUndefined, .loadFailed, .crashed, .hangs, .abiTooNew, .refused, .descriptor,
      .registerFailed,
      .duplicateExport, .settingsRefused, .createFailed, .startFailed:
      loadExplanation
    }
  }

  /// What was found before the file was loaded.
  private var fileExplanation: Explanation {
    switch self {
    case .notFound(let place, let missing):
      let which = missing == place.path ? "" : " (there is no \(missing))"
      return ("PLUGIN_NOT_FOUND", "does not exist\(which)", "build the plugin or correct its path")
    case .notFile(_, let found):
      return ("PLUGIN_NOT_FILE", "is \(found), not a file", "give the path of the .so itself")
    case .permission(_, let problem, let remedy):
      return ("PLUGIN_PERM", problem, remedy)
    case .unreadable(_, let reason):
      return ("PLUGIN_PERM", "cannot be read (\(reason))", "make it readable for the user that runs the host")
    case .truncated(_, let size, let needed):
      let problem = size == 0 ? "is empty" : "is truncated: it has \(size) of at least \(needed) bytes"
      return ("PLUGIN_TRUNCATED", problem, "copy it again, under another name first, then rename it")
    case .notELF:
      return ("PLUGIN_NOT_ELF", "is not an ELF file", "give the path of a shared library")
    case .damaged(_, let reason):
      return ("PLUGIN_DAMAGED", "is damaged: \(reason)", "build or copy it again")
    case .architecture(_, let found, let expected):
      return ("PLUGIN_ARCH", "is built for \(found), this machine is \(expected)", "rebuild it for \(expected)")
    case .notShared(_, let found):
      return ("PLUGIN_NOT_SHARED", "is \(found), not a shared library", "link it with -shared")
    case .noEntry(_, let entry, let closest):
      let near = closest.map { " (the closest export is \($0))" } ?? ""
      return (
        "PLUGIN_NO_ENTRY", "exports no \(entry)\(near)", "rebuild it with RoostPlugin, or mark the entry ROOST_EXPORT"
      )
    case .otherDigest(let place, let found, let expected):
      return (
        "PLUGIN_HASH", "has the digest sha256:\(found), not sha256:\(expected)",
        "put the right build there, or correct plugins.\(place.name).sha256"
      )
    case .changing:
      return (
        "PLUGIN_CHANGING", "changes while it is read", "copy it under another name first, then rename it"
      )
    case .notCopied(_, let path, let reason):
      return (
        "PLUGIN_COPY", "cannot be copied to \(path): \(reason)",
        "make room there and let the user that runs the host write to it"
      )
    default: preconditionFailure("a failure of loading is explained elsewhere")
    }
  }

  /// What was found while the file was loaded or an instance made.
  private var loadExplanation: Explanation {
    switch self {
    case .dependencyMissing(_, let dependency):
      return (
        "PLUGIN_DEP_MISSING", "needs \(dependency), which is not on this machine",
        "install it, or link it into the plugin"
      )
    case .symbolUndefined(_, let symbol):
      return (
        "PLUGIN_SYMBOL_UNDEFINED", "uses \(symbol), which nothing defines",
        "link the library that defines it (-Wl,--no-undefined finds this at build time)"
      )
    case .loadFailed(_, let reason):
      let isMapped = !reason.contains("failed to map segment")
      return (
        "PLUGIN_LOAD", "cannot be loaded: \(reason)",
        isMapped ? "see what ldd says about it" : "put it on a file system that is not mounted noexec"
      )
    case .crashed(_, let end):
      return (
        "PLUGIN_CRASH", "ended the process that loaded it (\(end))", "run `roost inspect` on it under gdb"
      )
    case .hangs(_, let seconds):
      return (
        "PLUGIN_TIMEOUT", "did not finish loading within \(seconds) s",
        "see what its constructors or register_exports() wait for"
      )
    case .abiTooNew(_, let needs, let known):
      return (
        "PLUGIN_ABI_TOO_NEW", "needs \(needs), this host knows \(known)",
        "use a newer Roost, or build the plugin with the header of this one"
      )
    case .refused:
      return ("PLUGIN_REFUSED", "refused to load: its entry returned NULL", "see what it logged just before")
    case .descriptor(_, let reason):
      return (
        "PLUGIN_DESCRIPTOR", "returned a roost_plugin that cannot be used: \(reason)",
        "fill it as roost_plugin.h says and rebuild"
      )
    case .registerFailed(_, let reason):
      return ("PLUGIN_REGISTER", "failed to register its exports: \(reason)", "correct the plugin and rebuild it")
    case .duplicateExport(_, let kind, let name):
      return ("PLUGIN_DUPLICATE_EXPORT", "registers \(kind) \"\(name)\" twice", "rename one and rebuild it")
    case .settingsRefused(_, let reason):
      return ("PLUGIN_SETTINGS", "refuses its settings: \(reason)", "correct plugins.\(place.name).settings")
    case .createFailed(_, let reason):
      return ("PLUGIN_CREATE", "failed to make an instance: \(reason)", "it may be tried again")
    case .startFailed(_, let reason):
      return ("PLUGIN_START", "failed to start: \(reason)", "it may be tried again")
    default: preconditionFailure("a failure of the file is explained elsewhere")
    }
  }
}
