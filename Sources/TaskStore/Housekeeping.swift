// SPDX-License-Identifier: Apache-2.0
package import Redis
package import TaskModel

/// What a host does in Redis beside tasks, on a connection of its own that large bodies cannot block; one thread's.
package final class Housekeeping {
  /// A worker of this host that beat lately.
  package struct Beat: Sendable, Equatable {
    package var worker: String
    /// The last batch answered or given up.
    package var lastBatch: Int64
    /// The batches up to it that the worker still has.
    package var held: [Int64]

    package init(worker: String, lastBatch: Int64, held: [Int64]) {
      self.worker = worker
      self.lastBatch = lastBatch
      self.held = held
    }
  }

  package struct FinishedList: Sendable {
    package let type: String
    /// `done` or `dead`.
    package let name: String
    package let oldest: Timestamp
    package let count: Int
  }

  package struct Report: Sendable {
    package let now: Timestamp
    /// Workers of this host whose lease was taken.
    package let lost: [String]
    package let finished: [FinishedList]
    /// Heartbeats counted, of all hosts and workers.
    package let beats: [String: String]
    /// Whether Redis knows this host.
    package let isKnown: Bool
    /// Whether there was more to move than one call may.
    package let hasMore: Bool
  }

  private let connection: ScriptConnection

  package init(to address: RedisAddress, keys: Keys) throws(RedisError) {
    connection = try ScriptConnection(
      RedisConnection(to: address, connectTimeout: .seconds(1), timeout: .seconds(2)), keys: keys)
  }

  /// One round: heartbeats, what is due, lost wake tokens, and what retention has to look at.
  package func beat(host: String, types: [String], workers: [Beat]) throws(RedisError) -> Report {
    let answer = try connection.run { connection in
      var call = connection.command(.heartbeat, capacity: 512)
      call.add(host)
      call.add(Int64(StoreLink.callTasks))
      call.add(Int64(types.count))
      for type in types { call.add(type) }
      for beat in workers {
        call.add(beat.worker)
        call.add(RandomID.bytes(beat.worker) ?? [])
        call.add(beat.lastBatch)
        call.add(beat.held.map(String.init).joined(separator: " "))
      }
      return call.command
    }
    guard let parts = answer.arrayValue, parts.count == 6 else { throw .refused("heartbeat answered something else") }
    let lists = parts[2].arrayValue ?? []
    var finished: [FinishedList] = []
    for index in stride(from: 0, to: lists.count - 4, by: 5) {
      let type = lists[index].textValue ?? ""
      for (offset, name) in [(1, "done"), (3, "dead")] {
        finished.append(
          FinishedList(
            type: type, name: name, oldest: Timestamp(millis: lists[index + offset].integerValue ?? 0),
            count: Int(lists[index + offset + 1].integerValue ?? 0)))
      }
    }
    let pairs = parts[3].arrayValue ?? []
    var beats: [String: String] = [:]
    for index in stride(from: 0, to: pairs.count - 1, by: 2) {
      if let name = pairs[index].textValue { beats[name] = pairs[index + 1].textValue }
    }
    return Report(
      now: Timestamp(millis: parts[0].integerValue ?? 0),
      lost: (parts[1].textValue ?? "").split(separator: " ").map(String.init), finished: finished, beats: beats,
      isKnown: parts[4] == .integer(1), hasMore: parts[5] == .integer(1))
  }

  /// Takes the lease of a worker or host and gives back all it held.
  ///
  /// `count` is its heartbeat count when it was last looked at; nil: it is known to be dead. Returns false if it lives after all.
  @discardableResult
  package func reap(_ worker: String, ifStillAt count: String? = nil) throws(RedisError) -> Bool {
    var expected = count ?? ""
    while true {
      let answer = try connection.run { connection in
        var call = connection.command(.reap)
        call.add(worker)
        call.add(RandomID.bytes(worker) ?? [])
        call.add(expected)
        return call.command
      }
      guard let left = answer.integerValue, left >= 0 else { return false }
      if left == 0 { return true }
      expected = ""
    }
  }

  /// The workers that have leases; on an embedded Redis they are all void when its host starts.
  package func leases() throws(RedisError) -> [String] {
    let answer = try connection.redis.call(RedisCommand(words: "HKEYS", connection.keys.beats))
    let marked = try connection.redis.call(RedisCommand(words: "HKEYS", connection.keys.leases))
    let all = (answer.arrayValue ?? []) + (marked.arrayValue ?? [])
    return Array(Set(all.compactMap(\.textValue)))
  }

  /// Removes finished tasks of one list that are too many or too old, one bounded step.
  ///
  /// - Returns: whether there may be more to do.
  package func retain(
    type: String, list: String, count: Int, before: Timestamp
  ) throws(RedisError) -> Bool {
    let answer = try connection.run { connection in
      var call = connection.command(.retain)
      call.add(type)
      call.add(list)
      call.add(Int64(count))
      call.add(before.millis)
      call.add(Int64(StoreLink.callTasks))
      return call.command
    }
    return answer.integerValue == Int64(StoreLink.callTasks)
  }
}
