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
        "nothing was changed and the running generation goes on; correct what is listed and reload again",
        facts: [("errors", .json(Self.list(issues)))])
    }
  }

  private static func list(_ issues: [ConfigIssue]) -> [UInt8] {
    var writer = JSONWriter()
    issues.write(to: &writer)
    return writer.bytes
  }
}
