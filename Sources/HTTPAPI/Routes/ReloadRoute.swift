// SPDX-License-Identifier: Apache-2.0
internal import Config
internal import HTTPServer
internal import TaskHost
internal import TaskModel

/// Applies a changed config.json, or says what keeps the host from it.
enum ReloadRoute {
  static func reload(_ reload: @escaping @Sendable () async throws(ReloadRefusal) -> ReloadReport) -> Operation {
    .post { call throws(Problem) in
      try call.checkEmptyBody()
      do throws(ReloadRefusal) {
        return answer(try await reload())
      } catch {
        throw Problem(error)
      }
    }
  }

  private static func answer(_ report: ReloadReport) -> HTTPResponse {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("generation", Int64(report.generation))
    writer.key("restartNeeded")
    writer.beginArray()
    for path in report.restartNeeded { writer.string(path) }
    writer.endArray()
    writer.endObject()
    return .json(writer.bytes)
  }
}

extension Problem {
  init(_ refusal: ReloadRefusal) {
    switch refusal {
    case .running:
      self.init(.reloadRunning, "another reload is under way; try again when it has been answered")
    case .stopping:
      // The one code of 503: clients that know it wait and ask again, which is right here too.
      self.init(
        .redisUnavailable, "the host is draining and reloads nothing any more; its next start reads the config",
        headers: [("Retry-After", "5")])
    case .refused(let issues):
      self.init(
        .reloadRefused,
        "nothing was changed and the running generation goes on; mend what \"errors\" lists and reload again",
        facts: [("errors", .json(Self.list(issues)))])
    }
  }

  private static func list(_ issues: [ConfigIssue]) -> [UInt8] {
    var writer = JSONWriter()
    writer.beginArray()
    for issue in issues {
      writer.beginObject()
      writer.member("path", issue.path)
      writer.member("message", issue.message)
      if let line = issue.line { writer.member("line", Int64(line)) }
      if let column = issue.column { writer.member("column", Int64(column)) }
      writer.endObject()
    }
    writer.endArray()
    return writer.bytes
  }
}
