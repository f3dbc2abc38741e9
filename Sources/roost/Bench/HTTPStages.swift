// SPDX-License-Identifier: Apache-2.0
internal import TaskModel
internal import Threading

/// The stages whose load comes over HTTP; none of their tasks is executed.
extension Bench {
  /// Connections of `httpBatch`, and tasks and bytes of one of its requests.
  private static let batchConnections = 4
  private static let batchTasks = 1000
  private static let batchBytes = 16 << 20

  func httpSubmit(_ host: BenchHost, _ meter: Meter) throws(CommandError) -> Figures {
    let load = try HTTPLoad(port: host.port, connections: options.connections + options.parked)
    try host.pause()
    let parked = try park(load)
    let request = load.request("POST", "/v1/tasks", submission)
    var times: [Int64] = []
    times.reserveCapacity(options.tasks)
    func run(_ tasks: Int) throws(CommandError) {
      var sent = min(tasks, options.connections)
      var received = 0
      for index in 0..<sent { try load.send(request, on: index) }
      while received < tasks {
        try load.receive { index, reply throws(CommandError) in
          // A long-poll whose time is over.
          if let again = parked[index] { return try load.send(again, on: index) }
          guard reply.status == 202 else { throw Self.refused(reply) }
          times.append(reply.receivedAt - reply.sentAt)
          received += 1
          guard sent < tasks else { return }
          sent += 1
          try load.send(request, on: index)
        }
      }
    }
    try meter.learnSenders { () throws(CommandError) in try run(warmUp) }
    times.removeAll(keepingCapacity: true)
    let before = try meter.read()
    try run(options.tasks)
    let after = try meter.read()
    return meter.figures(before, after, tasks: options.tasks, countsOwn: false)
      .merging(.percentiles(of: times)) { $1 }
  }

  /// Lets the last connections each wait for a task that is due in an hour; answers what to send when a wait is over.
  private func park(_ load: HTTPLoad) throws(CommandError) -> [Int: [UInt8]] {
    let request = load.request("POST", "/v1/tasks", Array(submission.dropLast()) + Array(#","delay":"1h"}"#.utf8))
    var waits: [Int: [UInt8]] = [:]
    for index in options.connections..<load.count {
      // In groups, so that the host's backlog of connections does not overflow.
      try load.send(request, on: index)
      let isLast = index + 1 == load.count
      while waits.count + (isLast ? 0 : 500) < index + 1 - options.connections {
        try load.receive { index, reply throws(CommandError) in
          guard reply.status == 202 else { throw Self.refused(reply) }
          let wait = load.request("GET", "/v1/tasks/\(reply.taskID)?wait=60s")
          waits[index] = wait
          try load.send(wait, on: index)
        }
      }
    }
    return waits
  }

  func httpBatch(_ host: BenchHost, _ meter: Meter) throws(CommandError) -> Figures {
    let load = try HTTPLoad(port: host.port, connections: Self.batchConnections)
    try host.pause()
    let size = max(1, min(Self.batchTasks, Self.batchBytes / submission.count))
    func request(_ tasks: Int) -> [UInt8] {
      let lines = repeatElement(submission + [0x0a], count: tasks).joined()
      return load.request("POST", "/v1/tasks/batch", Array(lines))
    }
    let whole = request(size)
    func run(_ tasks: Int) throws(CommandError) {
      var (unsent, received) = (tasks, 0)
      func sendNext(on index: Int) throws(CommandError) {
        guard unsent > 0 else { return }
        let count = min(size, unsent)
        unsent -= count
        try load.send(count == size ? whole : request(count), on: index)
      }
      for index in 0..<load.count { try sendNext(on: index) }
      let requests = (tasks + size - 1) / size
      while received < requests {
        try load.receive { index, reply throws(CommandError) in
          guard reply.status == 202 else { throw Self.refused(reply) }
          received += 1
          try sendNext(on: index)
        }
      }
    }
    try meter.learnSenders { () throws(CommandError) in try run(warmUp) }
    let before = try meter.read()
    try run(options.tasks)
    return meter.figures(before, try meter.read(), tasks: options.tasks, countsOwn: false)
  }

  /// The body of a submission.
  var submission: [UInt8] {
    Array("{\"type\":\"\(BenchHost.type)\",\"params\":".utf8) + options.paramsText + [UInt8(ascii: "}")]
  }

  static func refused(_ reply: HTTPLoad.Reply) -> CommandError {
    .failed("the host answered \(reply.status): \(String(decoding: reply.body.prefix(500), as: UTF8.self))")
  }
}
