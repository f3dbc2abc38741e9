// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskModel
internal import TaskStore

/// `GET /v1/tasks`: a page of tasks.
enum ListRoute {
  private static let limits = 1...500
  private static let parts: [String: TaskRecord.Parts] = ["params": .params, "result": .result, "log": .log]
  private static let planned = ["tenant"]

  static func list(_ store: TaskStore) -> Operation {
    .get(query: ["type", "status", "callback", "limit", "cursor", "include"] + planned) { call throws(Problem) in
      let query = try read(call.request)
      let page = try await fromStore { () throws(TaskStoreError) in try await store.page(query) }
      guard let page else { throw refused("cursor", "is none that a page of this list gave; start without one") }
      var writer = JSONWriter(capacity: 64 + page.records.count * 512)
      writer.beginObject()
      writer.key("tasks")
      writer.beginArray()
      for record in page.records {
        let handler = store.definition(of: record.type)?.handler(of: record.status)
        record.write(to: &writer, parts: query.parts, handler: handler)
      }
      writer.endArray()
      writer.key("cursor")
      if let cursor = page.cursor { writer.string(cursor) } else { writer.null() }
      writer.endObject()
      return .json(writer.bytes)
    }
  }

  private static func read(_ request: HTTPRequest) throws(Problem) -> TaskQuery {
    for name in planned where request.queryValue(name) != nil { throw refused(name, "is not supported yet") }
    var query = TaskQuery()
    if let type = request.queryValue("type") {
      guard isValidName(type) else { throw refused("type", "is not the name of a type") }
      query.type = type
    }
    if let name = request.queryValue("status") {
      let names = TaskStatus.allCases.map(\.rawValue)
      guard let status = TaskStatus(rawValue: name) else {
        throw refused("status", "is none of \(names.joined(separator: ", "))\(didYouMean(name, among: names))")
      }
      query.status = status
    }
    if let phase = request.queryValue("callback") {
      guard phase == "failed" else { throw refused("callback", "can be failed only") }
      query.onlyFailedHandlers = true
    }
    if let text = request.queryValue("limit") {
      guard let limit = Int(text), limits.contains(limit) else {
        throw refused("limit", "is not a whole number from \(limits.lowerBound) to \(limits.upperBound)")
      }
      query.limit = limit
    }
    query.cursor = request.queryValue("cursor")
    for name in (request.queryValue("include") ?? "").split(separator: ",") {
      guard let part = parts[String(name)] else {
        throw refused("include", "is a list of params, result, log\(didYouMean(String(name), among: parts.keys))")
      }
      query.parts.insert(part)
    }
    return query
  }

  private static func refused(_ name: String, _ why: String) -> Problem {
    Problem(.badRequest, "the query parameter \(quoted(name)) \(why)", facts: [("parameter", .text(name))])
  }
}
