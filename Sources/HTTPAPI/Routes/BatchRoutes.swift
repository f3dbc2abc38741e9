// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskModel
internal import TaskStore

/// Statuses and results of many tasks at once; the answer has each id as the client wrote it.
enum BatchRoutes {
  /// Ids of one request.
  static let limit = 1000

  private static let shape = ObjectBody.Shape(name: "the body", members: ["ids"])

  static func statuses(_ store: TaskStore) -> Operation {
    .post { call throws(Problem) in
      let names = try ObjectBody(call.request.body, shape).texts("ids", limit: limit)
      let ids = names.compactMap { TaskID($0) }
      let found = try await fromStore { () throws(TaskStoreError) in try await store.statuses(ids) }
      var writer = JSONWriter(capacity: names.count * 56 + 32)
      writer.beginObject()
      write(Dictionary(zip(ids, found)) { $1 }.compactMapValues { $0 }, of: names, to: &writer)
      writer.endObject()
      return .json(writer.bytes)
    }
  }

  static func results(_ store: TaskStore) -> Operation {
    .post { call throws(Problem) in
      let names = try ObjectBody(call.request.body, shape).texts("ids", limit: limit)
      let ids = names.compactMap { TaskID($0) }
      let found = try await fromStore { () throws(TaskStoreError) in try await store.records(ids, parts: .result) }
      var records: [TaskID: TaskRecord] = [:]
      for (id, record) in zip(ids, found) { records[id] = record }
      var writer = JSONWriter(capacity: names.count * 100 + found.reduce(32) { $0 + ($1?.result?.count ?? 0) })
      writer.beginObject()
      writer.key("results")
      writer.beginObject()
      for name in names {
        writer.member(name, raw: TaskID(name).flatMap { records[$0]?.result } ?? Array("null".utf8))
      }
      writer.endObject()
      write(records.mapValues(\.status), of: names, to: &writer)
      writer.endObject()
      return .json(writer.bytes)
    }
  }

  private static func write(_ statuses: [TaskID: TaskStatus], of names: [String], to writer: inout JSONWriter) {
    writer.key("statuses")
    writer.beginObject()
    for name in names {
      writer.key(name)
      if let status = TaskID(name).flatMap({ statuses[$0] }) { writer.string(status.rawValue) } else { writer.null() }
    }
    writer.endObject()
  }
}
