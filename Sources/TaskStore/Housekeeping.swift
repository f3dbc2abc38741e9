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
    /// When its oldest task ended; nil: what stands first is no task any more.
    package let oldest: Timestamp?
    package let count: Int
  }

  /// Tasks of a type that wait.
  package struct Backlog: Sendable, Equatable {
    package var pending: Int
    package var scheduled: Int

    package init(pending: Int, scheduled: Int) {
      self.pending = pending
      self.scheduled = scheduled
    }
  }

  package struct Report: Sendable {
    package let now: Timestamp
    /// Workers of this host whose lease was taken.
    package let lost: [String]
    /// Lists that are not empty.
    package let finished: [FinishedList]
    package let backlogs: [String: Backlog]
    /// Heartbeats counted, of all hosts and workers.
    package let beats: [String: String]
    /// Whether Redis knows this host.
    package let isKnown: Bool
    /// Whether there was more to move than one call may.
    package let hasMore: Bool
    /// When the next task or handler call comes due, or expires.
    package let nextDue: Timestamp?
    /// Tasks of a type that wait to run alone; types without any are left out.
    package let alone: [String: Int]
  }

  private let connection: ScriptConnection

  package init(to address: RedisAddress, keys: Keys) throws(RedisError) {
    connection = try ScriptConnection(
      RedisConnection(to: address, connectTimeout: .seconds(1), timeout: .seconds(2)), keys: keys)
  }

  /// One round: heartbeats, what is due, lost wake tokens, and what retention has to look at.
  ///
  /// When Redis' clock says a later time than `latest`, nothing expires and no detached task ends at its deadline.
  package func beat(
    host: String, types: [String], workers: [Beat], latest: Timestamp = RedisClock.forever
  ) throws(RedisError) -> Report {
    let answer = try connection.run { connection in
      var call = connection.command(.heartbeat, capacity: 512)
      call.add(host)
      call.add(Int64(StoreLink.callTasks))
      call.add(latest.millis)
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
    guard let parts = answer.arrayValue, parts.count == 7 else { throw .refused("heartbeat answered something else") }
    let numbers = parts[2].arrayValue ?? []
    var finished: [FinishedList] = []
    var backlogs: [String: Backlog] = [:]
    var alone: [String: Int] = [:]
    for index in stride(from: 0, to: numbers.count - 7, by: 8) {
      let type = numbers[index].textValue ?? ""
      func number(_ offset: Int) -> Int64 { numbers[index + offset].integerValue ?? 0 }
      backlogs[type] = Backlog(pending: Int(number(1)), scheduled: Int(number(2)))
      for (offset, name) in [(3, "done"), (5, "dead")] where number(offset) >= 0 {
        let oldest = number(offset) == 0 ? nil : Timestamp(millis: number(offset))
        finished.append(FinishedList(type: type, name: name, oldest: oldest, count: Int(number(offset + 1))))
      }
      if number(7) > 0 { alone[type] = Int(number(7)) }
    }
    let pairs = parts[3].arrayValue ?? []
    var beats: [String: String] = [:]
    for index in stride(from: 0, to: pairs.count - 1, by: 2) {
      if let name = pairs[index].textValue { beats[name] = pairs[index + 1].textValue }
    }
    return Report(
      now: Timestamp(millis: parts[0].integerValue ?? 0),
      lost: (parts[1].textValue ?? "").split(separator: " ").map(String.init), finished: finished,
      backlogs: backlogs, beats: beats, isKnown: parts[4] == .integer(1), hasMore: parts[5] == .integer(1),
      nextDue: parts[6].integerValue.flatMap { $0 > 0 ? Timestamp(millis: $0) : nil }, alone: alone)
  }

  /// Takes the lease of a worker or host and gives back all it held, but for what `loss` says of it.
  ///
  /// `count` is its heartbeat count when it was last looked at; nil: it is known to be dead. Returns false if it lives after all.
  @discardableResult
  package func reap(
    _ worker: String, _ loss: WorkerLoss = WorkerLoss(), ifStillAt count: String? = nil
  ) throws(RedisError) -> Bool {
    var expected = count ?? ""
    while true {
      let answer = try connection.run { connection in
        var call = connection.command(.reap)
        call.add(worker)
        call.add(RandomID.bytes(worker) ?? [])
        call.add(expected)
        loss.append(to: &call)
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

  /// What came of a due time.
  package enum Firing: Sendable, Equatable {
    case stored(TaskID)
    /// It, or a later one, was dealt with before.
    case done(last: Timestamp)
    /// As many tasks of the type wait as may.
    case full
    /// Redis has no memory left for new tasks; nothing was done.
    case outOfMemory
  }

  /// Stores the task of a schedule unless its due time, or a later one, was dealt with; may be repeated, by any host.
  ///
  /// `schedule` is what tells it from others: name, type and times; `now` is Redis' time.
  package func fire(
    _ schedule: String, due: Timestamp, _ submission: Submission, of definition: TypeDefinition, now: Timestamp
  ) throws(RedisError) -> Firing {
    let id = TaskID(schedule: connection.keys.prefix + schedule, due: due)
    let answer: RedisReply
    do {
      if StoredRecord.needsKey(submission.params) {
        _ = try connection.redis.call(storeBody(connection.keys.params(id), submission.params))
      }
      answer = try connection.run { connection in
        var call = connection.command(.fire, keyCount: 1, capacity: submission.params.count + 512)
        call.key { connection.keys.appendRecord(id, to: &$0) }
        call.add(schedule)
        call.add(due.millis)
        call.add { StoredRecord.append(to: &$0, submission, maxAttempts: definition.retry.attempts, now: now) }
        call.add(Int64(definition.queueCapacity))
        return call.command
      }
    } catch .refused(let reason) where StoreLink.isWantOfMemory(reason) {
      return .outOfMemory
    }
    let (verdict, last) = try firing(answer)
    return verdict == 1 ? .stored(id) : verdict == 0 ? .done(last: last) : .full
  }

  /// Makes a schedule known from a time on; returns the due time dealt with last, or that time if it was not known.
  package func know(_ schedule: String, from now: Timestamp) throws(RedisError) -> Timestamp {
    let answer = try connection.run { connection in
      var call = connection.command(.fire)
      call.add(schedule)
      call.add(now.millis)
      return call.command
    }
    return try firing(answer).last
  }

  private func firing(_ answer: RedisReply) throws(RedisError) -> (verdict: Int64, last: Timestamp) {
    guard let parts = answer.arrayValue, parts.count == 2, let verdict = parts[0].integerValue,
      let last = parts[1].integerValue
    else { throw .refused("fire answered something else") }
    return (verdict, Timestamp(millis: last))
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
