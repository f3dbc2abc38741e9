// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskModel
internal import TaskStore

/// Reading one task: its record, its status, its result.
enum TaskRoutes {
  static func record(_ store: TaskStore, _ waits: OpenWaits) -> Operation {
    .immediate("GET", query: ["wait"]) { call throws(Problem) in
      let id = try call.taskID()
      let answer: @Sendable () -> Void = {
        Task {
          do throws(Problem) {
            call.reply.send(try await record(id, store))
          } catch {
            call.reply.send(error)
          }
        }
      }
      guard let limit = try call.waitTime() else { return answer() }
      waits.wait(for: id, in: store, within: limit, call.reply.responder, answer)
    }
  }

  private static func record(_ id: TaskID, _ store: TaskStore) async throws(Problem) -> HTTPResponse {
    let record = try await fromStore { () throws(TaskStoreError) in try await store.record(id) }
    guard let record else { throw .unknownTask(id.description) }
    return response(record, store)
  }

  /// A record as it is shown.
  static func response(_ record: TaskRecord, _ store: TaskStore) -> HTTPResponse {
    var writer = JSONWriter(capacity: 512 + record.params.count + (record.result?.count ?? 0))
    record.write(to: &writer, handler: store.definition(of: record.type)?.handler(of: record.status))
    return .json(writer.bytes)
  }

  static func status(_ store: TaskStore) -> Operation {
    .get { call throws(Problem) in
      let id = try call.taskID()
      let found = try await fromStore { () throws(TaskStoreError) in try await store.statuses([id]) }
      guard let status = found[0] else { throw .unknownTask(id.description) }
      return .task(id, status)
    }
  }

  static func result(_ store: TaskStore) -> Operation {
    .get { call throws(Problem) in
      let id = try call.taskID()
      do throws(TaskStoreError) {
        return .json(try await store.resultBytes(id))
      } catch .forbidden(_, let status) {
        throw Problem(
          .notFinal, "task \(id) is \(status.rawValue), so its result is still to come; wait for it with ?wait=30s",
          facts: [("status", .text(status.rawValue))])
      } catch {
        throw Problem(error)
      }
    }
  }
}
