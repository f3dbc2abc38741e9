// SPDX-License-Identifier: Apache-2.0
internal import CHiredis

/// Makes answers of what hiredis parses, as it parses it: its own objects would be one more copy of everything.
final class ReplyBuilder {
  private struct Open {
    var elements: [RedisReply] = []
    let count: Int
  }

  /// Arrays that are not complete yet, the innermost last.
  private var open: [Open] = []
  private var finished: RedisReply?

  /// Takes the place of a reader's own functions; for as long as the reader is used.
  func build(for reader: UnsafeMutablePointer<redisReader>) {
    reader.pointee.fn = Self.functions
    reader.pointee.privdata = Unmanaged.passUnretained(self).toOpaque()
  }

  /// The answer that was parsed last; once.
  func finish() -> RedisReply? {
    defer { finished = nil }
    return finished
  }

  private func add(_ reply: RedisReply) {
    var reply = reply
    while let last = open.indices.last {
      open[last].elements.append(reply)
      if open[last].elements.count < open[last].count { return }
      reply = .array(open.removeLast().elements)
    }
    finished = reply
  }

  private func begin(_ count: Int) {
    if count <= 0 { return add(.array([])) }
    open.append(Open(count: count))
    // Whoever sends a number need not send as many.
    open[open.count - 1].elements.reserveCapacity(min(count, 1024))
  }

  private static func of(_ task: UnsafePointer<redisReadTask>?) -> ReplyBuilder? {
    task?.pointee.privdata.map { Unmanaged<ReplyBuilder>.fromOpaque($0).takeUnretainedValue() }
  }

  /// What hiredis has for the object of every element: it wants one, and later versions look at its type.
  // Written here and never again.
  nonisolated(unsafe) private static let object: UnsafeMutableRawPointer = {
    let object = UnsafeMutablePointer<redisReply>.allocate(capacity: 1)
    object.initialize(to: redisReply())
    return UnsafeMutableRawPointer(object)
  }()

  // Written here and never again.
  nonisolated(unsafe) private static let functions: UnsafeMutablePointer<redisReplyObjectFunctions> = {
    let functions = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
    functions.initialize(to: redisReplyObjectFunctions())
    functions.pointee.createString = { task, start, length in
      let bytes = UnsafeRawBufferPointer(start: start, count: length)
      let reply: RedisReply =
        switch task?.pointee.type {
        case REDIS_REPLY_ERROR: .error(String(decoding: bytes, as: UTF8.self))
        case REDIS_REPLY_STATUS: .status(String(decoding: bytes, as: UTF8.self))
        default: .bulk([UInt8](bytes))
        }
      ReplyBuilder.of(task)?.add(reply)
      return ReplyBuilder.object
    }
    functions.pointee.createArray = { task, count in
      ReplyBuilder.of(task)?.begin(Int(count))
      return ReplyBuilder.object
    }
    functions.pointee.createInteger = { task, number in
      ReplyBuilder.of(task)?.add(.integer(number))
      return ReplyBuilder.object
    }
    functions.pointee.createNil = { task in
      ReplyBuilder.of(task)?.add(.null)
      return ReplyBuilder.object
    }
    functions.pointee.freeObject = { _ in }
    return functions
  }()
}
