// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import TaskModel

extension Config {
  /// Bytes of the largest file that is taken for a config.
  private static let sizeLimit = 16 << 20

  /// Reads a config file; `environment` is what `${NAME}` is taken from.
  ///
  /// Plugin files are not looked at. Throws everything that is wrong at once.
  package static func load(path: String, environment: [String: String]) throws(ConfigErrors) -> Config {
    let text: [UInt8]
    do throws(FileError) {
      text = try contents(of: path)
    } catch {
      throw ConfigErrors(file: path, issues: [ConfigIssue(path: "", message: error.description)])
    }
    return try parse(text, file: path, directory: directory(of: path), environment: environment)
  }

  /// Reads the text of a config; `file` is its name in messages, `directory` the absolute start of relative paths.
  package static func parse(
    _ text: [UInt8], file: String, directory: String, environment: [String: String]
  ) throws(ConfigErrors) -> Config {
    let report = ConfigReport(text: text, environment: environment, directory: directory)
    let config = read(report)
    guard let config, report.issues.isEmpty else {
      throw ConfigErrors(file: file, issues: report.issues, readable: config)
    }
    return config
  }

  /// Every key that is read, with `*` for names that the user chooses, as in `types.*.threads`.
  package static var keyPatterns: Set<String> {
    let text = #"{"plugins": {"a": {}}, "workers": {"a": {}}, "types": {"a": {}}, "schedules": {"a": {}}}"#
    let report = ConfigReport(text: Array(text.utf8), environment: [:], directory: "/")
    _ = read(report)
    return report.keys
  }

  private static func read(_ report: ConfigReport) -> Config? {
    do throws(JSONSyntaxError) {
      let decoder = ConfigDecoder(try JSONNode.parse(report.text), report: report)
      let config = Config(decoder)
      decoder.finish()
      return config
    } catch {
      let (line, column) = report.position(of: error.offset)
      report.add("", "not JSON: \(error.reason), line \(line), column \(column)", at: error.offset)
      return nil
    }
  }

  private static func directory(of path: String) -> String {
    let end = path.lastIndex(of: "/")
    let start = end.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    guard let resolved = realpath(start, nil) else { return start }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  private static func contents(of path: String) throws(FileError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw errno == ENOENT ? .missing : .unreadable(errno) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .unreadable(errno) }
      if count == 0 { return bytes }
      bytes += buffer[..<count]
      guard bytes.count <= sizeLimit else { throw .tooLarge }
    }
  }

  private enum FileError: Error, CustomStringConvertible {
    case missing
    case unreadable(Int32)
    case tooLarge

    var description: String {
      switch self {
      case .missing: "no such file; name the config with --config or ROOST_CONFIG"
      case .unreadable(EISDIR): "is a directory; name the file in it"
      case .unreadable(let code): "cannot be read: \(String(cString: strerror(code)))"
      case .tooLarge: "has more than \(Config.sizeLimit >> 20) MiB, which is no config"
      }
    }
  }
}
