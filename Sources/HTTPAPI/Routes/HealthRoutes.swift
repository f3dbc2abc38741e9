// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskHost
internal import TaskModel

/// Whether the host is alive, and whether it can take work.
enum HealthRoutes {
  static func alive() -> Operation {
    .immediate("GET") { call throws(Problem) in
      call.reply.send(.json(Array(#"{"status":"ok"}"#.utf8)))
    }
  }

  static func ready(_ status: HostStatus) -> Operation {
    .immediate("GET") { call throws(Problem) in
      let reasons = status.reasons
      var writer = JSONWriter()
      writer.beginObject()
      if reasons.isEmpty { writer.member("status", "ready") }
      writer.key("reasons")
      writer.beginArray()
      for reason in reasons + status.troubles { writer.string(reason) }
      writer.endArray()
      writer.endObject()
      call.reply.send(.json(writer.bytes, status: reasons.isEmpty ? 200 : 503))
    }
  }
}
